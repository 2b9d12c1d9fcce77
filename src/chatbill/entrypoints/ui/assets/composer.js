// The card to write in: its text grows, is kept as a draft for each conversation, and its cost is told before it is sent.
"use strict";

(() => {
  const chat = chatbill.chat;
  const QUOTE_MS = 450;
  const MAX_LINES = 8;
  const MODEL = "cb-model";

  const writing = (chatbill.writing = {
    // The turn that is edited, or null.
    edited: null,

    get model() { return document.querySelector("#cb-models :checked")?.value ?? ""; },

    // What the message follows: "" for the newest one of a conversation without branches.
    get parent() {
      if (writing.edited) return writing.edited.dataset.parent;
      return chat.section.dataset.branched ? chat.turns.at(-1)?.dataset.id ?? "" : "";
    },

    set(text) {
      chat.box.value = text;
      changed();
    },

    // What is typed over an earlier message is a draft of its own: {turn, text}.
    get editName() { return `cb-edit:${chat.conversation}`; },

    edit(turn, focus = true) {
      store.set(writing.editName, "");
      writing.edited = turn;
      document.getElementById("cb-editing").hidden = !turn;
      for (const each of chat.turns) each.classList.toggle("cb-edited", each === turn);
      writing.set(turn ? turn.querySelector(".cb-asked .cb-said").textContent : store.get(key()) ?? "");
      if (focus) chat.box.focus();
    },
  });

  // A browser may forbid the storage; then nothing is kept. What is written in a temporary chat is in memory alone.
  const store = (chatbill.store = {
    get(name) {
      if (chatbill.temporary.owns(name)) return chatbill.temporary.texts.get(name) ?? null;
      try { return sessionStorage.getItem(name); } catch { return null; }
    },
    set(name, value) {
      if (chatbill.temporary.owns(name)) return void chatbill.temporary.texts.set(name, value);
      try {
        if (value) sessionStorage.setItem(name, value);
        else sessionStorage.removeItem(name);
      } catch { /* nothing is kept */ }
    },
    read(name) { try { return JSON.parse(store.get(name)); } catch { return null; } },
  });

  const key = () => `cb-draft:${chat.conversation}`;

  function fit() {
    const box = chat.box;
    const style = getComputedStyle(box);
    const around = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, MAX_LINES * parseFloat(style.lineHeight) + around)}px`;
  }

  function changed() {
    fit();
    if (writing.edited) store.set(writing.editName, JSON.stringify({ turn: writing.edited.dataset.id, text: chat.box.value }));
    else store.set(key(), chat.box.value);
    quoteSoon();
  }

  // What was typed while a conversation began belongs to that one.
  writing.keep = () => {
    store.set("cb-draft:", "");
    if (!writing.edited) store.set(key(), chat.box.value);
  };

  // The cost of what is in the box. A newer quote cancels an older one.
  let waiting;
  let asking;

  function quoteSoon() {
    clearTimeout(waiting);
    asking?.abort();
    if (!chat.open) return;
    if (!chat.box.value.trim()) return tellCost({ text: "", window: "", enough: true });
    waiting = setTimeout(quote, QUOTE_MS);
  }

  async function quote() {
    if (!chat.open) return;
    asking = new AbortController();
    const fields = { model: writing.model, text: chat.box.value, conversation_id: chat.conversation, parent_id: writing.parent, history: chatbill.temporary.history };
    try {
      const answer = await fetch("../web/chat/quote", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
        signal: asking.signal,
      });
      if (answer.status === 429) return;
      const said = await answer.json();
      if (!chat.open) return;
      tellCost(answer.ok ? said : { text: chat.reason(said), window: "", enough: false });
    } catch { /* a newer one was asked, or the service cannot be reached, which sending will say */ }
  }

  function tellCost({ text, window: read, enough }) {
    const cost = document.getElementById("cb-cost");
    cost.textContent = text;
    cost.classList.toggle("cb-short", !enough);
    document.getElementById("cb-reads").textContent = read;
  }

  // The words of an error: of its fields, where it has some.
  chat.reason = ({ detail, errors }) => errors?.length ? errors.map(({ message }) => message).join(" ") : detail;

  chatbill.on("chat", () => {
    writing.edited = null;
    let preferred = null;
    try { preferred = localStorage.getItem(MODEL); } catch { /* no preference */ }
    const wanted = [...document.querySelectorAll("#cb-models input")].find((input) => input.value === preferred);
    if (!chat.conversation && wanted && !wanted.disabled) wanted.checked = true;
    writing.set(store.get(key()) ?? "");
    const kept = store.read(writing.editName);
    const turn = kept && chat.turn(kept.turn);
    if (!turn) return;
    writing.edit(turn);
    writing.set(kept.text);
  });

  chatbill.on("model", quoteSoon);
  chatbill.on("balance", () => { if (chat.open && chat.box.value.trim()) quoteSoon(); });
  chatbill.on("escape", () => { if (writing.edited) writing.edit(null); else chatbill.emit("stop"); });

  document.addEventListener("input", (event) => { if (event.target.id === "cb-box") changed(); });

  document.addEventListener("change", (event) => {
    if (!event.target.closest("#cb-models")) return;
    try { localStorage.setItem(MODEL, event.target.value); } catch { /* it is not kept */ }
    quoteSoon();
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "cb-box" || event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      chat.box.form.requestSubmit();
    } else if (event.key === "ArrowUp" && !chat.box.value) {
      const last = chat.turns.findLast((turn) => turn.querySelector('[data-chat="edit"]'));
      if (!last) return;
      event.preventDefault();
      writing.edit(last);
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !chat.open) return;
    if (button.dataset.chat === "edit") writing.edit(button.closest("article"));
    else if (button.dataset.chat === "unedit") writing.edit(null);
    else if (button.dataset.start) {
      writing.set(button.dataset.start);
      chat.box.focus();
    }
  });
})();
