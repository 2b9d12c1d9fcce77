// Around Gradio's page: signing out, noticing that the session has ended, and staying up to date.
"use strict";

const chatbill = {
  async signOut() {
    await fetch("/web/session", { method: "DELETE" }).catch(() => {});
    location.replace("/ui/");
  },
};

// Gradio reports a refused event as any other failure; here it means: sign in again.
const plainFetch = window.fetch;
window.fetch = async (...request) => {
  const answer = await plainFetch(...request);
  if (answer.status === 401 && new URL(answer.url).pathname.startsWith("/ui/")) location.replace("/ui/?ended");
  return answer;
};

// A page that the browser kept from before must not show a chat to whoever goes back to it.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Another tab or device may have spent credits.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") document.querySelector("#cb-refresh")?.click();
});

// On narrow screens the conversations are a drawer behind a button.
function openMenu(open) {
  document.body.classList.toggle("cb-menu-open", open);
  document.querySelector("#cb-menu")?.setAttribute("aria-expanded", String(open));
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#cb-menu")) openMenu(!document.body.classList.contains("cb-menu-open"));
  else if (event.target.closest("#cb-new, #cb-delete")) openMenu(false);
});

document.addEventListener("change", (event) => {
  if (event.target.closest("#cb-conversations")) openMenu(false);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") openMenu(false);
});

// For screen readers: Gradio writes the name of a group of radio buttons beside it, and names a message by its source.
function mendNames() {
  for (const group of document.querySelectorAll("fieldset[id]:not([aria-label])")) {
    const name = group.querySelector(":scope > span")?.textContent.trim();
    if (name) group.setAttribute("aria-label", name);
  }
  for (const message of document.querySelectorAll("#cb-chat [data-testid][aria-label]")) message.removeAttribute("aria-label");
}

new MutationObserver(mendNames).observe(document.documentElement, {
  attributeFilter: ["aria-label"],
  childList: true,
  subtree: true,
});
