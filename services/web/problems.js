// What went wrong, in words that say what to do.

const MICROPHONE = {
  NotAllowedError: "The microphone is not allowed. Allow it for this page in the browser, or type instead.",
  NotFoundError: "No microphone found. Plug one in, choose a recording, or type instead.",
  NotReadableError: "The microphone is in use by another program. Close that program, or type instead.",
  SecurityError: "Browsers give the microphone only to pages on https or localhost. You can still type.",
};

const CODES = {
  overloaded: "The server is busy with other conversations.",
  rate_limit_exceeded: "Too much at once for this key.",
  no_speech: "I heard no speech in that.",
  audio_too_short: "That was too short to be a question.",
  audio_silent: "That was silence.",
  input_audio_buffer_commit_empty: "That was too short to be a question.",
};

export const inWords = (error) => {
  if (error instanceof DOMException) return MICROPHONE[error.name] ?? `No microphone: ${error.message}.`;
  const text = CODES[error.code] ?? error.message ?? "Something went wrong.";
  const wait = error.retry_s ? ` Try again in ${Math.ceil(error.retry_s)} s.` : "";
  return text.charAt(0).toUpperCase() + text.slice(1) + wait;
};
