// Sets a new password. The token comes after "#" in the address, which is not sent to any server.
"use strict";

const form = document.getElementById("reset");
const token = document.getElementById("token");

token.value = decodeURIComponent(location.hash.slice(1));
// It does not stay in the history of the browser.
history.replaceState(null, "", location.pathname);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector('[type="submit"]');
  if (button.disabled) return;
  unmark(form);
  button.disabled = true;
  const { problem } = await ask("POST", "../web/reset", { revoke_api_keys: "", ...fieldsOf(form) });
  button.disabled = false;
  if (problem) return tell(form, problem);
  form.hidden = true;
  document.getElementById("done").hidden = false;
});
document.getElementById("new-password").focus();
