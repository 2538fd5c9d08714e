// What went wrong, in words that say what to do.

const MICROPHONE = {
  NotAllowedError: "The microphone is not allowed. Allow it for this page in the browser, or type instead.",
  NotFoundError: "No microphone found. Plug one in, choose a recording, or type instead.",
  NotReadableError: "The microphone is in use by another program. Close that program, or type instead.",
  SecurityError: "Browsers give the microphone only to pages on https or localhost. You can still type.",
};

const CODES = {
  missing_api_key: "This server wants a key. Press the button again to enter one.",
  session_idle: "Nobody spoke for a while, so the conversation was closed. The next question opens a new one.",
  session_expired: "The conversation has reached its longest time. The next question opens a new one.",
  no_speech: "I heard no speech in that.",
  audio_too_short: "That was too short to be a question.",
  audio_silent: "That was silence.",
  input_audio_buffer_commit_empty: "That was too short to be a question.",
};

export const inWords = (error) => {
  if (error instanceof DOMException) return MICROPHONE[error.name] ?? `No microphone: ${error.message}.`;
  const busy = error.code === "overloaded" ? "the server is busy: " : "";
  const text = CODES[error.code] ?? `${busy}${error.message ?? "something went wrong"}`;
  const wait = error.retry_s ? ` (in ${error.retry_s} s)` : "";
  return text.charAt(0).toUpperCase() + text.slice(1) + wait;
};
