// Confirms an address, when the person asks for it: programs that follow links of letters would use up the token.
"use strict";

const form = document.getElementById("verify");
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
  const { problem } = await ask("POST", "../web/verify", fieldsOf(form));
  button.disabled = false;
  if (problem) return tell(form, problem);
  form.hidden = true;
  document.getElementById("done").hidden = false;
});
