// The talk button as a press and a release, whatever presses it: pointer, keys, assistive tools.

const KEYS = new Set([" ", "Enter"]);
const BUSY = "input, textarea, select, button, summary, a, dialog, audio";

export const onTalk = (button, { press, release }) => {
  let down = false;
  const begin = () => {
    if (down || button.disabled) return;
    down = true;
    press();
  };
  const end = () => {
    if (!down) return;
    down = false;
    release();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    begin();
  });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(over, end);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  // A click without pointer or key comes from an assistive tool: a short press.
  button.addEventListener("click", (event) => {
    if (event.detail === 0) { begin(); end(); }
  });
  const ours = ({ key, target }) => (target === button ? KEYS.has(key) : key === " " && !target.closest(BUSY));
  document.addEventListener("keydown", (event) => {
    if (!ours(event)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  document.addEventListener("keyup", (event) => {
    if (!ours(event)) return;
    event.preventDefault();
    end();
  });
  window.addEventListener("blur", end);
};
