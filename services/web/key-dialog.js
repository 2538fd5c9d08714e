// Asks for the key of a server that wants one.

import { keepKey, storedKey } from "./api.js";

// Resolves to whether somebody entered a key.
export const askKey = (dialog) => new Promise((resolve) => {
  const [field, reason] = [dialog.querySelector("input"), dialog.querySelector(".reason")];
  reason.textContent = storedKey() ? "The server does not accept this key." : "This server wants a key.";
  field.value = "";
  dialog.returnValue = "";
  dialog.querySelector(".cancel").onclick = () => dialog.close();
  dialog.addEventListener("close", () => {
    const entered = dialog.returnValue === "use" && field.value.trim();
    if (entered) keepKey(field.value.trim());
    resolve(Boolean(entered));
  }, { once: true });
  dialog.showModal();
});
