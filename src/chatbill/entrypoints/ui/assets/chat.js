// The view of the chat: the open conversation, the list of conversations, and how they are scrolled.
"use strict";

(() => {
  const NEAR_END_PX = 48;
  const SEARCH_MS = 300;

  const chat = (chatbill.chat = {
    section: null,
    words: {},

    get open() { return Boolean(chat.section?.isConnected); },
    get log() { return document.getElementById("cb-chat"); },
    get box() { return document.getElementById("cb-box"); },
    get conversation() { return chat.section?.dataset.conversation ?? ""; },
    get turns() { return chat.open ? [...chat.log.querySelectorAll("article[data-id]")] : []; },
    get running() { return chat.turns.filter((turn) => turn.dataset.running); },

    turn(id) { return chat.open ? document.getElementById(`turn-${id}`) : null; },

    made(html) {
      const template = document.createElement("template");
      template.innerHTML = html.trim();
      const turn = template.content.firstElementChild;
      if (turn.dataset.temporary) chatbill.temporary.fill(turn);
      return turn;
    },

    // Changes the transcript. A reader who is at its end stays there, and any other stays where they are.
    change(work, { follow = false } = {}) {
      const log = chat.log;
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
      work();
      if (atEnd || follow) log.scrollTop = log.scrollHeight;
      noteEnd();
    },

    // Gives a new conversation its address and its title, without loading the view again.
    named(conversation, title) {
      if (chat.conversation === conversation) return;
      chat.section.dataset.conversation = conversation;
      history.replaceState(null, "", new URL(`c/${conversation}`, document.baseURI));
      chat.section.querySelector("h1").textContent = document.title = title;
      document.getElementById("cb-title").value = title;
      for (const form of chat.section.querySelectorAll("dialog form")) form.dataset.post = `../web/chat/conversations/${conversation}`;
      document.getElementById("cb-tools").hidden = false;
      document.getElementById("cb-welcome")?.remove();
      // It is stored from now on.
      document.querySelector(".cb-brief")?.remove();
      markOpen();
    },

    drawer(open) {
      const button = document.getElementById("cb-drawer");
      if (!button) return;
      chat.section.classList.toggle("cb-drawn", open);
      button.setAttribute("aria-expanded", String(open));
      if (open) document.querySelector("#cb-chats .cb-new").focus();
    },

    // A field in which one types keeps the focus, whatever arrives meanwhile.
    get isTyping() { return document.activeElement.matches('textarea, select, input:not([type="radio"], [type="checkbox"])'); },

    focus() {
      if (matchMedia("(pointer: fine)").matches) chat.box.focus();
      else chat.log.focus({ preventScroll: true });
    },
  });

  function noteEnd() {
    const log = chat.log;
    document.getElementById("cb-latest").hidden = log.scrollHeight - log.scrollTop - log.clientHeight < 4 * NEAR_END_PX;
  }

  function markOpen() {
    for (const link of document.querySelectorAll("#cb-list a")) {
      if (link.getAttribute("href") === `c/${chat.conversation}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // Names what can only be named here, and lets scrollers take the focus.
  function dress(root) {
    for (const button of root.querySelectorAll("button.cb-copy")) {
      button.title = chat.words.copy;
      button.setAttribute("aria-label", chat.words.copy);
    }
    for (const wide of root.querySelectorAll(".cb-wide, .cb-code pre")) {
      if (wide.scrollWidth <= wide.clientWidth) continue;
      wide.tabIndex = 0;
      wide.setAttribute("role", "region");
      wide.setAttribute("aria-label", wide.matches("pre") ? chat.words.code : chat.words.table);
    }
  }
  chat.dress = dress;

  let listed = 0;

  chatbill.on("view", (shown) => {
    const was = chat.section;
    chat.section = shown?.dataset.name === "chat" ? shown : null;
    document.body.classList.toggle("cb-chatting", Boolean(chat.section));
    if (!chat.section) return;
    chat.words = JSON.parse(document.getElementById("cb-chat-texts").textContent);
    if (!matchMedia("(pointer: fine)").matches) chat.box.removeAttribute("autofocus");
    dress(shown);
    markOpen();
    if (was) document.getElementById("cb-list").scrollTop = listed;
    const at = new URLSearchParams(location.search).get("at");
    const place = at && chat.turn(at);
    if (place) {
      place.scrollIntoView({ block: "start" });
      // The frame gives the focus to what asks for it.
      chat.box.removeAttribute("autofocus");
      place.querySelector(".cb-switch a[href]")?.setAttribute("autofocus", "");
      // Links of the history lead to turns that may have one version only.
      const versions = place.querySelector(".cb-switch span")?.textContent.split("/");
      if (versions) chatbill.say(chat.words.version.replace("{place}", versions[0]).replace("{count}", versions[1]));
    } else if (chat.turns.length) chat.log.scrollTop = chat.log.scrollHeight;
    chat.log.addEventListener("scroll", noteEnd, { passive: true });
    document.getElementById("cb-list").addEventListener("scroll", (event) => (listed = event.target.scrollTop), { passive: true });
    noteEnd();
    chatbill.emit("chat", chat.section);
  });

  chatbill.on("fragment", () => { if (chat.open) markOpen(); });

  // The list: found again while one types, and when it changes in any tab.
  let searching;

  async function list() {
    if (!chat.open) return;
    const place = document.getElementById("cb-list");
    const sought = encodeURIComponent(document.getElementById("cb-search").value);
    const count = place.querySelectorAll("a").length;
    let top = place.scrollTop;
    // Older ones may be loaded meanwhile, which this answer does not have.
    const same = () => {
      top = place.scrollTop;
      return place.querySelectorAll("a").length === count;
    };
    if (await chatbill.load(place, `../web/chat/conversations?q=${sought}&count=${count}`, same) === false) return void list();
    place.scrollTop = top;
  }

  document.addEventListener("input", (event) => {
    if (event.target.id !== "cb-search") return;
    clearTimeout(searching);
    searching = setTimeout(list, SEARCH_MS);
  });

  chatbill.on("conversations", () => {
    clearTimeout(searching);
    searching = setTimeout(list, SEARCH_MS);
  });

  async function models() {
    if (!chat.open) return;
    const place = document.getElementById("cb-models");
    const choice = () => place.querySelector(":checked")?.value ?? "";
    const chosen = choice();
    // Another one may be chosen meanwhile.
    const same = () => choice() === chosen;
    const address = `../web/chat/models?model=${encodeURIComponent(chosen)}`;
    if (await chatbill.load(place, address, same) === false) return void models();
    chatbill.emit("model", chosen);
  }

  chatbill.on("models", models);

  // Events may have been lost before this: what is shown is loaded again, without touching the box.
  chatbill.on("connected", () => {
    for (const turn of chat.running) chat.reload(turn);
  });

  async function older(button) {
    const place = button.closest(".cb-more");
    const answer = await whileOff(button, () => fetch(button.dataset.older).catch(() => null));
    if (!answer?.ok) return chatbill.tell(chatbill.texts.unreachable);
    const html = await answer.text();
    if (!place.isConnected) return;
    const log = chat.log;
    const fromEnd = log.scrollHeight - log.scrollTop;
    const holder = document.createElement("div");
    holder.innerHTML = html;
    const first = holder.querySelector("article");
    place.replaceWith(...holder.children);
    dress(log);
    log.scrollTop = log.scrollHeight - fromEnd;
    first?.setAttribute("tabindex", "-1");
    if (!chat.isTyping) first?.focus({ preventScroll: true });
  }

  // Opens another conversation. What is typed meanwhile must not go to the one before.
  async function move(path) {
    const before = chat.section;
    chat.box.disabled = true;
    await chatbill.go(path);
    if (chat.section === before && chat.open) chat.box.disabled = false;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#cb-list a[href], .cb-switch a[href]");
    if (!link || !chat.open || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    move(link.getAttribute("href"));
  }, true);

  document.addEventListener("click", (event) => {
    if (!chat.open) return;
    const button = event.target.closest("button");
    if (button?.dataset.older) older(button);
    else if (button?.dataset.chat === "new") {
      chatbill.temporary.end();
      move("");
    } else if (button?.dataset.chat === "pin") pin(button);
    else if (button?.id === "cb-latest") chat.change(() => {}, { follow: true });
    else if (button?.id === "cb-drawer") chat.drawer(!chat.section.classList.contains("cb-drawn"));
    else if (!event.target.closest("#cb-chats")) chat.drawer(false);
  });

  async function pin(button) {
    const pinned = String(button.getAttribute("aria-pressed") !== "true");
    const said = await chatbill.act("POST", `../web/chat/conversations/${chat.conversation}`, { pinned });
    if (said) button.setAttribute("aria-pressed", pinned);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !chat.open || event.target.id === "cb-search" || document.querySelector("dialog[open]")) return;
    if (chat.section.classList.contains("cb-drawn")) {
      chat.drawer(false);
      document.getElementById("cb-drawer").focus();
    } else chatbill.emit("escape");
  });

  // Why a reply has its price, when one asks.
  document.addEventListener("toggle", async (event) => {
    const details = event.target;
    if (!details.open || !details.dataset?.details) return;
    const address = details.dataset.details;
    delete details.dataset.details;
    await chatbill.load(details.querySelector("div"), address);
    details.scrollIntoView({ block: "nearest" });
  }, true);
})();
