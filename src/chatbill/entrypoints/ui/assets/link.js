// The pages of links: a new password, and a confirmed address, each when the person asks for it. Programs that follow
// the links of letters would use up the token, which comes after "#" in the address and is not sent to any server.
"use strict";

const form = document.querySelector("form");
const token = document.getElementById("token");

try {
  token.value = decodeURIComponent(location.hash.slice(1));
} catch {
  token.value = location.hash.slice(1);
}
// It does not stay in the history of the browser.
history.replaceState(null, "", location.pathname);
// The page in another language needs it too.
for (const link of document.querySelectorAll("[data-lang]")) {
  link.addEventListener("click", () => { link.hash = encodeURIComponent(token.value); });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector('[type="submit"]');
  if (button.disabled) return;
  unmark(form);
  const { problem } = await whileOff(button, () => ask("POST", location.pathname, { revoke_api_keys: "", ...fieldsOf(form) }));
  if (problem) return tell(form, problem);
  form.hidden = true;
  const done = document.getElementById("done");
  done.hidden = false;
  done.focus();
});

(document.getElementById("new-password") ?? form.querySelector("button")).focus();
