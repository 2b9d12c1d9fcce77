// The temporary chat: its texts are in the memory of this page and nowhere else, until it is loaded again.
"use strict";

(() => {
  const chat = chatbill.chat;
  const OWN = new Set(["cb-draft:", "cb-queue:", "cb-kept", "cb-sending:"]);
  const [MOST_TURNS, MOST_BYTES] = [1_000, 700_000];

  let on = false;
  // The section that showed it last.
  let shown;
  // Messages and replies by the ids of their turns, in the order of the turns.
  const sent = new Map();
  const replies = new Map();

  const temporary = (chatbill.temporary = {
    // What a stored draft would be elsewhere.
    texts: new Map(),

    // Which temporary chat of this page it is. An answer may come when that chat has ended.
    round: 0,

    // While its turns are not all here, nothing that waits is sent.
    isLoading: false,

    owns: (name) => on && OWN.has(name),
    has: (id) => sent.has(id),
    replyOf: (id) => replies.get(id)?.reply,

    // What was said before, the texts of the person and of the model in turn; undefined in any other chat. The service
    // takes no more, so the oldest are left out.
    get history() {
      if (!on || chat.conversation) return undefined;
      const said = [];
      let size = 0;
      for (const [id, text] of [...sent].reverse()) {
        const reply = replies.get(id);
        if (!reply?.counts) continue;
        size += new Blob([JSON.stringify([text, reply.reply])]).size;
        if (said.length >= MOST_TURNS || size > MOST_BYTES) break;
        said.unshift(text, reply.reply);
      }
      return said;
    },

    sent(id, text) {
      sent.set(id, text);
      show();
    },

    replied({ id, reply, html, outcome }) { if (on) replies.set(id, { reply, html, counts: ["completed", "stopped"].includes(outcome) }); },

    // Puts the texts into a turn that came without them.
    fill(turn) {
      const { id } = turn.dataset;
      if (sent.has(id)) turn.querySelector(".cb-said").textContent = sent.get(id);
      if (turn.dataset.running) return;
      const reply = turn.querySelector(".cb-md");
      if (replies.has(id)) {
        reply.innerHTML = replies.get(id).html;
        return;
      }
      turn.querySelector('[data-chat="copy"]')?.remove();
      // What was shown while it was written stays.
      const grown = chat.turn(id)?.dataset.running && chat.turn(id).querySelector(".cb-md").cloneNode(true);
      if (!grown?.textContent.trim()) return;
      const growing = grown.querySelector(":scope > .cb-growing");
      growing?.replaceWith(...growing.childNodes);
      reply.prepend(...grown.childNodes);
    },

    // Shows the turns again after other views. Those that were sent meanwhile are asked for.
    async restore() {
      const before = shown;
      temporary.isLoading = false;
      show();
      const { section } = chat;
      if (!on || chat.conversation || !sent.size) return;
      document.getElementById("cb-welcome")?.setAttribute("hidden", "");
      const turns = [...before.querySelectorAll("article[data-id]")];
      chat.change(() => document.getElementById("cb-outbox").before(...turns), { follow: true });
      chat.running.forEach(chat.reload);
      const missing = [...sent.keys()].filter((id) => !chat.turn(id));
      temporary.isLoading = missing.length > 0;
      for (const id of missing) {
        const answer = await fetch(`../web/chat/turns/${id}`).catch(() => null);
        if (section !== chat.section || !on) return;
        if (answer?.ok) chat.put(await answer.json(), true);
      }
      temporary.isLoading = false;
      chatbill.emit("running");
    },

    // Forgets everything, also what is shown: the next view may not be there for a while.
    end() {
      if (!on) return;
      on = false;
      temporary.round += 1;
      temporary.isLoading = false;
      for (const texts of [sent, replies, temporary.texts]) texts.clear();
      shown?.querySelectorAll("article").forEach((turn) => turn.remove());
      shown = undefined;
      if (!chat.open || chat.conversation) return;
      chat.isSending = false;
      document.getElementById("cb-welcome")?.removeAttribute("hidden");
      chatbill.writing.set("");
      show();
      chatbill.emit("running");
    },
  });

  function show() {
    const box = document.getElementById("cb-temporary");
    if (!box) return;
    box.checked = on;
    // What was begun stays what it is.
    box.parentElement.hidden = Boolean(chat.conversation) || sent.size > 0;
    document.getElementById("cb-leaves-nothing").hidden = !on || Boolean(chat.conversation);
    chat.section.classList.toggle("cb-temporary", on && !chat.conversation);
    if (chat.conversation) return;
    if (on) shown = chat.section;
    chat.section.querySelector("h1").textContent = document.title = on ? chat.words.temporary : chat.section.dataset.title;
  }

  document.addEventListener("change", (event) => {
    if (event.target.id !== "cb-temporary") return;
    // What is being sent, or waits, stays what it is.
    if (chat.isSending || chat.queue.of("").length) {
      event.target.checked = on;
      return;
    }
    // What is in the box already moves to where it belongs now.
    chatbill.store.set("cb-draft:", "");
    on = event.target.checked;
    chatbill.store.set("cb-draft:", chat.box.value);
    show();
  });

  window.addEventListener("beforeunload", (event) => { if (sent.size) event.preventDefault(); });
})();
