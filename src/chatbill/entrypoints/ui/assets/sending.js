// Sending: what was sent shows at once, is sent once however often it is tried, and waits while a reply is written.
"use strict";

(() => {
  const chat = chatbill.chat;
  const writing = chatbill.writing;
  const store = chatbill.store;
  const KEPT = "cb-kept";

  let stopping = false;
  let unsure = {};
  // The keys of messages that are on their way, and of one out of sight the turn that has ended meanwhile.
  const going = new Map();
  chat.isSending = false;

  const sendingOf = (conversation) => `cb-sending:${conversation}`;
  const queued = () => chat.queue.of(chat.conversation);
  const isBusy = () => Boolean(chat.isSending || chat.running.length || chatbill.temporary.isLoading);

  // Browsers make UUIDs on pages of HTTPS only.
  function newKey() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function showPending(text, note, isQueued) {
    const pending = document.getElementById("cb-pending").content.firstElementChild.cloneNode(true);
    pending.querySelector(".cb-said").textContent = text;
    pending.querySelector(".cb-aside").textContent = note;
    pending.querySelector('[data-chat="unqueue"]').hidden = !isQueued;
    pending.classList.toggle("cb-queued", isQueued);
    chat.change(() => document.getElementById("cb-outbox").append(pending), { follow: true });
    return pending;
  }

  function showQueue() {
    document.querySelectorAll(".cb-queued").forEach((each) => each.remove());
    for (const { key, text, problem } of queued()) {
      const pending = showPending(text, problem ?? chat.words.queued, true);
      pending.dataset.key = key;
      pending.querySelector('[data-chat="resend"]').hidden = !problem;
      pending.querySelector(".cb-aside").classList.toggle("cb-short", Boolean(problem));
    }
  }

  // Sends a message that was composed in the open conversation.
  async function send(order) {
    chat.isSending = true;
    stopping = false;
    going.set(order.key, "");
    refuse("");
    document.getElementById("cb-welcome")?.setAttribute("hidden", "");
    const section = chat.section;
    const pending = showPending(order.text, chat.words.sending, false);
    showRunning();
    const brief = order.conversation ? undefined : chatbill.temporary.history;
    const { round } = chatbill.temporary;
    const fields = { model: order.model, text: order.text, conversation_id: order.conversation, parent_id: order.parent, key: order.key, history: brief };
    // A page that is loaded again meanwhile sends it once more: by its key, the service takes it once.
    store.set(sendingOf(order.conversation), JSON.stringify({ ...order, edited: undefined }));
    const { said, problem } = await insist("../web/chat/messages", fields, () => { pending.querySelector(".cb-aside").textContent = chat.words.again; });
    going.delete(order.key);
    // The texts of a temporary chat that was ended meanwhile go nowhere.
    if (brief && round !== chatbill.temporary.round) return undefined;
    if (section === chat.section) chat.isSending = false;
    if (store.read(sendingOf(order.conversation))?.key === order.key) store.set(sendingOf(order.conversation), "");
    pending.remove();
    // An answer that never came may have been given all the same.
    if (!problem || problem.status) unsure = {};
    if (problem) failed(order, problem, section); // before one leaves: the text is a draft again, for the same person
    if (problem) return problem.status === 401 ? chatbill.leave() : undefined;
    if (brief) chatbill.temporary.sent(said.id, order.text);
    else if (!order.conversation) chat.queue.move(said.conversation);
    if (section !== chat.section || chat.conversation !== order.conversation) return undefined;
    if (!brief) chat.named(said.conversation, said.title);
    if (!brief && !order.conversation) writing.keep();
    branch(order.edited);
    const turn = chat.put(said, true);
    if (stopping) stop();
    stopping = false;
    // Something was said in between: the whole conversation is shown.
    const before = turn?.previousElementSibling?.dataset?.id;
    if (!brief && !order.parent && before && turn.dataset.parent !== before) await chatbill.refresh();
    chatbill.emit("running");
    return said;
  }

  // A branch begins in the place of a turn: what followed that turn, which the end of a reply renews, is not on it.
  function branch(edited) {
    if (!edited) return;
    chat.section.dataset.branched = "1";
    const turn = chat.turn(edited.dataset.id);
    while (turn?.nextElementSibling?.matches("article")) turn.nextElementSibling.remove();
    turn?.remove();
  }

  function failed(order, problem, section) {
    stopping = false;
    if (!chat.turns.length) document.getElementById("cb-welcome")?.removeAttribute("hidden");
    const isOpen = chat.open && section === chat.section;
    if (order.waited) {
      chat.queue.hold(order, problem);
      if (!isOpen) return;
      if (problem.code === "insufficient_credits") refuse(chat.reason(problem), true);
      showRunning();
      return showQueue();
    }
    const name = `cb-draft:${order.conversation}`;
    const draft = isOpen ? chat.box.value : store.get(name) ?? "";
    const rest = order.edited ? "" : draft;
    const text = rest.trim() ? `${order.text}\n\n${rest}` : order.text;
    if (problem.status === 402) {
      store.set(KEPT, JSON.stringify({ conversation: order.conversation, edited: order.edited?.dataset.id, text }));
    }
    if (!isOpen && order.edited) return void store.set(`cb-edit:${order.conversation}`, JSON.stringify({ turn: order.edited.dataset.id, text: order.text }));
    if (!isOpen) return void store.set(name, text);
    const edited = order.edited && chat.turn(order.edited.dataset.id);
    if (edited) writing.edit(edited, false);
    writing.set(text);
    refuse(problem.status ? chat.reason(problem) : chat.words.unreachable, problem.code === "insufficient_credits");
    document.getElementById("cb-kept").hidden = problem.status !== 402;
    showRunning();
    if (!chat.isTyping) chat.box.focus();
  }

  function refuse(words, buys = false) {
    const refused = document.getElementById("cb-refused");
    refused.hidden = !words;
    refused.querySelector("p").textContent = words;
    refused.querySelector("button").hidden = !buys;
    document.getElementById("cb-kept").hidden = true;
  }

  function submit() {
    const text = chat.box.value;
    if (!text.trim()) return chat.box.focus();
    const edited = writing.edited;
    const order = { text, model: writing.model, conversation: chat.conversation, parent: writing.parent, edited };
    // The same message keeps its key until the service has answered.
    const same = JSON.stringify([text, order.model, order.conversation, order.parent]);
    order.key = unsure.same === same ? unsure.key : newKey();
    unsure = { same, key: order.key };
    // What an edited message replaces is not written to its end out of sight.
    if (edited && chat.running.length) stop();
    store.set(KEPT, "");
    // The draft that was there before the edit comes back.
    if (edited) writing.edit(null);
    else writing.set("");
    if (!edited && isBusy()) {
      chat.queue.set(chat.conversation, [...queued(), { ...order, branched: chat.section.dataset.branched }]);
      unsure = {};
      showRunning();
      return showQueue();
    }
    return send(order);
  }

  // The next message that waits is sent when the reply before it has ended.
  chatbill.on("free", async ({ id, conversation }) => {
    const [next, ...rest] = chat.queue.of(conversation);
    if (!next || next.problem) return;
    if (going.has(next.key)) return void going.set(next.key, id);
    const isOpen = chat.open && chat.conversation === conversation;
    if (isOpen && isBusy()) return;
    const order = { ...next, conversation, parent: next.branched ? id : "", waited: true };
    if (!isOpen) return void sendAway(order);
    chat.queue.set(conversation, rest);
    showQueue();
    await send(order);
  });

  // Sends a message of a conversation that is not open. It waits until there is an answer, as the page may be left.
  async function sendAway(order) {
    const { conversation, key } = order;
    going.set(key, "");
    const fields = { model: order.model, text: order.text, conversation_id: conversation, parent_id: order.parent, key };
    const { said, problem } = await insist("../web/chat/messages", fields);
    const ended = going.get(key);
    going.delete(key);
    chat.queue.set(conversation, chat.queue.of(conversation).filter((each) => each.key !== key));
    if (problem) chat.queue.hold(order, problem);
    if (chat.open && chat.conversation === conversation) {
      showQueue();
      if (!problem) chat.put(said);
    } else if (said && ended === said.id) chatbill.emit("free", { id: ended, conversation });
  }

  // Takes a message that waits out of the queue, or tries it once more.
  function requeue(key, changed) {
    refuse("");
    chat.queue.change(key, changed);
    showQueue();
    chat.box.focus();
    sendNext();
  }

  // The key of a refusal would give the refusal again. Any other makes sure that nothing is sent and charged twice.
  const again = (order) => [{ ...order, key: order.unsure ? order.key : newKey(), unsure: undefined, problem: undefined }];

  async function regenerate(button) {
    const turn = button.closest("article");
    if (chat.isSending) return;
    if (chat.running.length) stop();
    chat.isSending = true;
    const section = chat.section;
    const address = `../web/chat/turns/${turn.dataset.id}/regenerate`;
    // A second click after a lost answer asks for the same reply.
    button.dataset.key ??= newKey();
    const { said, problem } = await whileOff(button, () => insist(address, { model: button.dataset.model, key: button.dataset.key }));
    if (!problem || problem.status) delete button.dataset.key;
    chat.isSending = false;
    if (problem?.status === 401) return chatbill.leave();
    if (section !== chat.section) return;
    if (problem) return refuse(problem.status ? chat.reason(problem) : chatbill.texts.unreachable, problem.code === "insufficient_credits");
    refuse("");
    branch(turn);
    chat.put(said, true);
    showRunning();
    if (!chat.isTyping) chat.focus();
  }

  function showRunning() {
    if (!chat.open) return;
    const busy = isBusy();
    document.getElementById("cb-stop").hidden = !busy;
    const send = document.getElementById("cb-send");
    const had = send === document.activeElement;
    send.hidden = busy && !chat.box.value.trim(); // what is written now can be sent after the reply
    if (had && send.hidden) chat.focus();
  }

  function stop() {
    const running = chat.running;
    if (!running.length) stopping = chat.isSending;
    for (const { dataset } of running) fetch(`../web/chat/turns/${dataset.id}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }).catch(() => {});
  }

  chatbill.on("stop", () => { if (!document.getElementById("cb-stop").hidden) stop(); });
  chatbill.on("running", () => {
    showRunning();
    sendNext();
  });

  // A reply may have ended before its turn was shown, so that nothing else would send what waits.
  function sendNext() {
    if (!chat.open || isBusy() || !queued().length) return;
    chatbill.emit("free", { id: chat.turns.at(-1)?.dataset.id ?? "", conversation: chat.conversation });
  }

  chatbill.on("chat", () => {
    stopping = false;
    chat.isSending = false;
    chatbill.temporary.restore();
    showRunning();
    showQueue();
    const kept = store.read(KEPT);
    // A message that was edited is not among the drafts.
    const edited = kept?.conversation === chat.conversation && kept.edited && chat.turn(kept.edited);
    if (edited) {
      writing.edit(edited);
      writing.set(kept.text);
    }
    document.getElementById("cb-kept").hidden = !kept || kept.conversation !== chat.conversation || !chat.box.value;
    const lost = store.read(sendingOf(chat.conversation));
    // The first message of another chat is not one of this chat.
    if (lost && (chat.conversation || !going.has(lost.key))) send({ ...lost, edited: null });
    else sendNext();
    if (kept?.goes && kept.conversation === chat.conversation && chat.box.value) submit();
  });

  // The links of the shop lead back to what was kept. The one of a purchase also sends it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.cb-kept");
    const kept = store.read(KEPT);
    if (!link || !kept) return;
    event.preventDefault();
    event.stopPropagation();
    store.set(KEPT, JSON.stringify({ ...kept, goes: Boolean(link.closest("dialog")) }));
    chatbill.go(kept.conversation ? `c/${kept.conversation}` : "");
  }, true);

  document.addEventListener("input", (event) => { if (event.target.id === "cb-box") showRunning(); });

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "cb-composer") return;
    event.preventDefault();
    submit();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !chat.open) return;
    if (button.id === "cb-stop") {
      stop();
      chat.focus();
    } else if (button.dataset.chat === "unqueue") requeue(button.closest("article").dataset.key, () => []);
    else if (button.dataset.chat === "resend") requeue(button.closest("article").dataset.key, again);
    else if (button.dataset.chat === "regenerate") regenerate(button);
    else if (button.dataset.chat === "shop") chatbill.go("credits?add=1");
  });
})();
