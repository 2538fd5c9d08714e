// What the page is doing, in one word for the style sheet and one line for people.

// Words about keys only where there are keys.
const keys = matchMedia("(hover: hover)").matches;

const LINES = {
  opening: "One moment…",
  held: "Speak, then let go.",
  hearing: "Hearing you…",
  thinking: "Thinking…",
  speaking: `Answering. Speak or press ${keys ? "Escape" : "Stop"} to interrupt.`,
  listening: "Listening. Just speak.",
};

export const phaseOf = ({ held, listening }, dialogue) => {
  const { answer, hearing } = dialogue ?? {};
  if (held) return held.from_ms === undefined ? "opening" : "held";
  if (hearing) return "hearing";
  if (answer && !answer.stopped) return answer.sounding ? "speaking" : "thinking";
  return listening ? "listening" : "idle";
};

const label = ({ handsFree, listening, held }) => {
  if (handsFree) return listening ? "Listening" : "Start talking";
  return held ? "Let go to ask" : "Hold to talk";
};

const hint = ({ handsFree }) => {
  if (handsFree) return "Press the button and speak.";
  return `Hold the button ${keys ? "or the space bar " : ""}and speak.`;
};

export const showStatus = (asking, dialogue, { talk, talkLabel, stop, status }) => {
  const phase = phaseOf(asking, dialogue);
  document.body.dataset.phase = phase;
  const line = LINES[phase] ?? hint(asking);
  if (status.textContent !== line) status.textContent = line;
  talk.setAttribute("aria-pressed", String(asking.listening || Boolean(asking.held)));
  talkLabel.textContent = label(asking);
  stop.disabled = !["thinking", "speaking"].includes(phase);
};
