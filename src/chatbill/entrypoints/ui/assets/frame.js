// The frame: opens views by their addresses, and carries out the answers of actions.
"use strict";

const texts = JSON.parse(document.getElementById("cb-texts").textContent);
const frame = document.getElementById("cb-frame");
const view = document.getElementById("cb-view");
const base = new URL(document.baseURI).pathname;

// Drafts and kept messages of a tab belong to the person who wrote them.
try {
  if (sessionStorage.getItem("cb-me") !== frame.dataset.me) {
    sessionStorage.clear();
    sessionStorage.setItem("cb-me", frame.dataset.me);
  }
} catch {
  // A browser without storage keeps no drafts.
}

const chatbill = {
  texts,
  view,
  // What the other scripts listen to: "view" after a view was put in, and each event of the event connection.
  events: new EventTarget(),

  on(name, listener) {
    chatbill.events.addEventListener(name, (event) => listener(event.detail));
  },

  emit(name, detail) {
    chatbill.events.dispatchEvent(new CustomEvent(name, { detail }));
  },

  // The address of the open view, relative to /ui/, such as "credits?kind=charge".
  get here() {
    return location.pathname.slice(base.length) + location.search;
  },

  // Opens a view. The newest call wins, so a slow answer never replaces a later one.
  async go(path, { replace = false, focus = true } = {}) {
    if (path !== chatbill.here) history[replace ? "replaceState" : "pushState"](null, "", base + path);
    await show(focus);
  },

  async refresh() {
    await show(false);
  },

  // Loads a fragment, and puts it into an element if it is still `wanted` then. Returns whether it was.
  async load(element, address, wanted = () => true) {
    const { html, problem } = await fragment(address);
    if (problem) return chatbill.tell(problem.detail);
    if (!wanted()) return false;
    put(element, html);
  },

  // Says something quietly to screen readers. While a dialog is open, they hear what is in it.
  say(text) {
    const place = document.querySelector("dialog:modal [data-said]") ?? document.getElementById("cb-said");
    place.textContent = text;
  },

  // Shows an error until the next view.
  tell(text) {
    const notice = document.getElementById("cb-notice");
    notice.textContent = text;
    notice.hidden = !text;
  },

  // Carries out the answer of an action.
  async follow({ say, go, refresh, put: parts, reload }) {
    if (reload) return location.reload();
    for (const [id, html] of Object.entries(parts ?? {})) {
      const element = document.getElementById(id);
      if (element) put(element, html);
    }
    if (go !== undefined) await chatbill.go(go);
    else if (refresh) await chatbill.refresh();
    if (say) chatbill.say(say);
  },

  // Sends an action and follows its answer. Returns the answer, or undefined after an error.
  async act(method, address, fields) {
    const { said, problem } = await ask(method, address, fields);
    if (problem) {
      if (problem.status === 401) return chatbill.leave();
      chatbill.tell(problem.detail);
      return undefined;
    }
    chatbill.tell("");
    await chatbill.follow(said);
    return said;
  },

  // The session has ended. The same view is opened after signing in again. No text may stay, nor keep the page here.
  leave() {
    if (signsOut) return;
    chatbill.temporary?.end();
    const address = new URL(location);
    address.searchParams.set("ended", "");
    location.replace(address);
  },
};

// Puts HTML into an element. The focus stays on what has the same id, or goes to the element if that is gone.
function put(element, html) {
  const { activeElement: before } = document;
  const had = element.contains(before);
  element.innerHTML = html;
  chatbill.emit("fragment", element);
  if (!had) return;
  const same = before.id && document.getElementById(before.id);
  // What was chosen may have been turned off, as a model in trouble; then another one is chosen.
  const chosen = before.type === "radio" && element.querySelector(`input[name="${before.name}"]:checked:enabled`);
  const again = (!same?.disabled && same) || chosen || element.querySelector("[autofocus]");
  if (!again && !element.hasAttribute("tabindex")) element.tabIndex = -1;
  (again || element).focus({ preventScroll: true });
}

let newest = 0;
let coming;
let signsOut = false;

async function fragment(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.status === 401) chatbill.leave();
    if (answer.ok) return { html: await answer.text() };
    const said = await answer.json().catch(() => ({}));
    return { problem: { detail: answer.status === 404 ? texts.not_found : said.detail ?? texts.failed } };
  } catch {
    return { problem: { detail: texts.unreachable } };
  }
}

async function show(focus) {
  const mine = (newest += 1);
  const first = coming;
  coming = undefined;
  const { html, problem } = await (first ?? fragment(`../web/views/${chatbill.here}`));
  if (mine !== newest) return;
  chatbill.tell(problem?.detail ?? "");
  if (problem) return;
  put(view, html);
  const shown = view.firstElementChild;
  document.title = shown?.dataset.title ?? document.title;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === shown?.dataset.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  chatbill.emit("view", shown);
  if (focus) (view.querySelector("[autofocus]") ?? view).focus({ preventScroll: true });
}

// A link to a view opens it without loading the page again.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  const href = link.getAttribute("href");
  // Addresses are relative to the base of the page, also those within it.
  if (href.startsWith("#")) {
    event.preventDefault();
    document.getElementById(href.slice(1))?.focus();
    return;
  }
  if (!link.pathname.startsWith(base)) return;
  event.preventDefault();
  chatbill.go(link.pathname.slice(base.length) + link.search);
});

// A form with `data-post` sends its fields as JSON. Its button is off until the answer is there.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.post === undefined && form.dataset.get === undefined) return;
  event.preventDefault();
  if (form.dataset.get !== undefined) {
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    return chatbill.go(`${form.dataset.get}${fields.size ? `?${fields}` : ""}`, { focus: false });
  }
  const button = event.submitter ?? form.querySelector('[type="submit"]');
  if (button?.disabled || (form.dataset.sure && !confirm(form.dataset.sure))) return;
  unmark(form);
  form.setAttribute("aria-busy", "true");
  const { said, problem } = await whileOff(button, () =>
    ask(form.dataset.method ?? "POST", form.dataset.post, fieldsOf(form, event.submitter)));
  form.removeAttribute("aria-busy");
  if (problem?.status === 401 && problem.code !== "invalid_credentials") return chatbill.leave();
  if (problem) return tell(form, problem);
  await chatbill.follow(said);
});

// A button with `data-load` puts a fragment into the element that `data-into` names by its id.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-load]");
  if (!button) return;
  await whileOff(button, async () => {
    const { html, problem } = await fragment(button.dataset.load);
    if (problem) return chatbill.tell(problem.detail);
    // What is around the element may have been loaded again meanwhile.
    const target = document.getElementById(button.dataset.into);
    if (target) put(target, html);
  });
});

// A button with `data-open` opens the dialog that it names, and one with `data-close` closes its dialog.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open)?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
});

window.addEventListener("popstate", () => show(true));

// A page from the cache of the browser must not show anything after sign-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

document.addEventListener("click", async (event) => {
  if (!event.target.closest("#cb-sign-out, [data-sign-out]")) return;
  chatbill.temporary.end();
  signsOut = true;
  await fetch("../web/session", { method: "DELETE" }).catch(() => {});
  location.replace("./");
});

// Gradio writes the language of the browser there, at some time after its start.
const ownLanguage = () => {
  if (document.documentElement.lang !== frame.lang) document.documentElement.lang = frame.lang;
};
new MutationObserver(ownLanguage).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
ownLanguage();

// The first view came with the page, and does not wait for Gradio. What listens to it is in this file, further down.
if (view.querySelector(":scope > section")) coming = Promise.resolve({ html: view.innerHTML });
frame.inert = false;
frame.removeAttribute("aria-busy");
show(false);
