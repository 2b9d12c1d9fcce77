// Additions to Gradio's page: the address, sign-out, the end of the session, and refreshes.
"use strict";

// The address names the open conversation, so that a reload and the buttons of the browser lead to it.
const chatbill = {
  visiting: false,

  named() {
    return new URLSearchParams(location.search).get("c") ?? "";
  },

  // A click on a conversation makes an entry in the history of the browser. All else changes the one that is there.
  visits(id) {
    chatbill.visiting = true;
    return id;
  },

  confirms(question) {
    chatbill.visiting = false;
    return chatbill.named() !== "new" && confirm(question);
  },

  opened(id) {
    if (!id || id === chatbill.named()) return;
    const adds = chatbill.visiting && !["", "new"].includes(chatbill.named());
    chatbill.visiting = false;
    history[adds ? "pushState" : "replaceState"](null, "", `?c=${encodeURIComponent(id)}`);
  },

  async signOut() {
    await fetch("../web/session", { method: "DELETE" }).catch(() => {});
    location.replace("./");
  },
};

// The requests of Gradio are checked for two cases. A 401 means that the session has ended. And an event that is sent
// while the server closes the event stream would get its answer only after the next event, because Gradio opens a
// stream only with a new event. A refresh is sent as that next event.
const plainFetch = window.fetch;
const waiting = new Set();
const retried = new Set();
const answered = new Set();
let streams = 0;

window.fetch = async (...request) => {
  const answer = await plainFetch(...request);
  const path = new URL(answer.url).pathname;
  if (answer.status === 401 && path.startsWith(new URL("./", location).pathname)) location.replace(ended());
  if (answer.ok && path.endsWith("/queue/join")) noteTaken(answer.clone());
  return answer.ok && path.endsWith("/queue/data") ? watched(answer, request[0].signal) : answer;
};

// The same conversation is opened after signing in again.
function ended() {
  const address = new URL(location);
  address.searchParams.set("ended", "");
  return address;
}

async function noteTaken(answer) {
  const id = (await answer.json()).event_id;
  if (!answered.delete(id)) waiting.add(id);
}

function noteAnswered(line) {
  if (!line.startsWith('data: {"msg":"process_completed"')) return;
  const id = JSON.parse(line.slice("data: ".length)).event_id;
  if (!waiting.delete(id) && !retried.delete(id)) answered.add(id);
}

function watched(answer, signal) {
  let rest = "";
  let open = true;
  streams += 1;
  const close = () => {
    if (open) streams -= 1;
    open = false;
    setTimeout(reopen, 200);
  };
  signal?.addEventListener("abort", close);
  const words = new TextDecoder();
  const lines = new TransformStream({
    transform(chunk, out) {
      const parts = (rest + words.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop();
      parts.forEach(noteAnswered);
      out.enqueue(chunk);
    },
    flush: close,
  });
  return new Response(answer.body.pipeThrough(lines), answer);
}

function reopen() {
  if (streams || !waiting.size) return;
  waiting.forEach((id) => retried.add(id));
  waiting.clear();
  document.querySelector("#cb-refresh")?.click();
}

window.addEventListener("popstate", () => {
  chatbill.visiting = false;
  document.querySelector("#cb-go")?.click();
});

// A page from the cache of the browser must not show a chat after sign-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Another tab or device may have spent credits.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") document.querySelector("#cb-refresh")?.click();
});

// On narrow screens, a button opens the conversations.
function openMenu(open) {
  document.body.classList.toggle("cb-menu-open", open);
  document.querySelector("#cb-menu")?.setAttribute("aria-expanded", String(open));
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#cb-menu")) openMenu(!document.body.classList.contains("cb-menu-open"));
  else if (event.target.closest("#cb-new, #cb-delete, #cb-api-keys, #cb-account-button")) openMenu(false);
});

document.addEventListener("change", (event) => {
  if (event.target.closest("#cb-conversations")) openMenu(false);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") openMenu(false);
});

// For screen readers: Gradio shows the name of a radio group beside it, and names a message by its source.
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
