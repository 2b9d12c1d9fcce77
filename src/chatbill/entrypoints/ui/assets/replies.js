// Replies: they grow block by block, so that what has ended is never drawn again, and get their footer when they end.
"use strict";

(() => {
  const chat = chatbill.chat;
  const REMEMBERED = 200;
  // Replies that ended before their turn was here, as of short replies in the tab that asked for them.
  const ended = new Map();
  // Temporary replies whose end was told.
  const told = new Set();
  // When a reply was last seen to grow.
  const grown = new Map();
  const [FIRST_LOOK_MS, LOOK_MS, QUIET_MS] = [700, 5_000, 5_000];

  async function read(id) {
    const answer = await fetch(`../web/chat/turns/${id}`).catch(() => null);
    if (answer?.status === 401) chatbill.leave();
    const found = answer?.ok ? await answer.json() : null;
    if (found?.reply) chatbill.temporary.replied(found);
    return found;
  }

  // Puts the blocks of the finished reply in the place of those that differ, so that a selection survives.
  function merge(before, after) {
    const growing = before.querySelector(":scope > .cb-growing");
    growing?.replaceWith(...growing.childNodes);
    const old = [...before.children];
    const fresh = [...after.children];
    fresh.forEach((block, number) => {
      if (!old[number]) before.append(block);
      else if (!old[number].isEqualNode(block)) old[number].replaceWith(block);
    });
    old.slice(fresh.length).forEach((block) => block.remove());
  }

  // Shows a turn as the server has it now, in the place of what is there.
  chat.put = ({ id, conversation, turn, about }, follow = false) => {
    if (!chat.open || (chat.conversation !== conversation && !chatbill.temporary.has(id))) return null;
    const fresh = chat.made(turn);
    const there = chat.turn(id);
    chat.change(() => {
      if (there) there.replaceWith(fresh);
      else document.getElementById("cb-outbox").before(fresh);
      chat.dress(fresh);
    }, { follow });
    document.getElementById("cb-about").innerHTML = about;
    if (fresh.dataset.running && ended.has(id)) chat.reload(fresh);
    else announce(id);
    chatbill.emit("running");
    return fresh;
  };

  chat.reload = async (turn) => {
    if (turn.dataset.loading) return;
    turn.dataset.loading = "1";
    const found = await read(turn.dataset.id);
    delete turn.dataset.loading;
    if (found && turn.isConnected) chat.put(found);
  };

  function grow({ id, from, ended: blocks, open }) {
    const turn = chat.turn(id);
    grown.set(id, Date.now());
    if (!turn?.dataset.running || turn.dataset.loading) return;
    const have = Number(turn.dataset.ended);
    if (from > have) return void chat.reload(turn);
    if (from + blocks.length < have) return;
    chat.change(() => {
      const growing = turn.querySelector(".cb-growing");
      for (const block of blocks.slice(have - from)) growing.insertAdjacentHTML("beforebegin", block);
      growing.innerHTML = open;
      turn.dataset.ended = from + blocks.length;
      chat.dress(growing.parentElement);
    });
  }

  chatbill.on("reply", grow);

  // A reply may have ended while its view was on its way, or its events may be lost: what stands still is asked for.
  chatbill.on("chat", () => setTimeout(lookAgain, FIRST_LOOK_MS));
  setInterval(lookAgain, LOOK_MS);

  function lookAgain() {
    for (const turn of chat.running) {
      if (Date.now() - (grown.get(turn.dataset.id) ?? 0) >= QUIET_MS) chat.reload(turn);
    }
  }

  // Another tab or device has sent a message in the open conversation.
  chatbill.on("started", async ({ id, conversation }) => {
    if (!chat.open || chat.conversation !== conversation || chat.turn(id) || chat.isSending) return;
    const found = await read(id);
    if (!found || chat.turn(id) || chat.isSending) return;
    const parent = chat.made(found.turn).dataset.parent;
    const last = chat.turns.at(-1)?.dataset.id;
    // A branch that begins elsewhere is not what is read here.
    if (last && parent !== last) return;
    chat.put(found);
  });

  // Says the end of a reply once.
  function announce(id) {
    const end = ended.get(id);
    if (!end || !ended.delete(id)) return;
    const { finished, stopped, failed } = chat.words;
    const words = { completed: finished, stopped }[end.outcome] ?? failed;
    chatbill.say(words.replace("{credits}", end.text));
  }

  function finish(turn, found) {
    const grown = turn.querySelector(".cb-md");
    const fresh = chat.made(found.turn);
    const final = fresh.querySelector(".cb-md");
    chat.change(() => {
      merge(grown, final);
      final.replaceWith(grown);
      turn.replaceWith(fresh);
      chat.dress(fresh);
    });
    document.getElementById("cb-about").innerHTML = found.about;
  }

  chatbill.on("settled", async (end) => {
    const { id, conversation } = end;
    // The end of a temporary reply is told to each new connection for a while.
    if (end.reply && told.has(id)) return;
    if (end.reply) told.add(id);
    ended.set(id, end);
    grown.delete(id);
    if (end.reply) chatbill.temporary.replied(end);
    if (ended.size > REMEMBERED) ended.delete(ended.keys().next().value);
    const turn = chat.turn(id);
    if (turn) {
      const found = await read(id);
      if (found && turn.isConnected) finish(turn, found);
      announce(id);
      chatbill.emit("running");
    }
    chatbill.emit("free", { id, conversation });
  });

  // Copies a reply as the model wrote it.
  async function copy(button) {
    const id = button.closest("article").dataset.id;
    const kept = chatbill.temporary.replyOf(id);
    const answer = kept ? null : await fetch(`../web/chat/turns/${id}/text`).catch(() => null);
    const text = document.createElement("pre");
    text.className = "cb-unseen";
    text.textContent = kept ?? (answer?.ok ? await answer.text() : "");
    document.body.append(text);
    const done = Boolean(text.textContent) && await copyText(text);
    getSelection().removeAllRanges();
    text.remove();
    chatbill.say(done ? chat.words.copied : chat.words.not_copied);
    const label = button.textContent;
    button.textContent = done ? chat.words.copied : chat.words.not_copied;
    setTimeout(() => { button.textContent = label; }, 2_000);
  }

  async function copyCode(button) {
    const done = await copyText(button.parentElement.querySelector("pre"));
    getSelection().removeAllRanges();
    button.title = done ? chat.words.copied : chat.words.not_copied;
    button.setAttribute("aria-label", button.title);
    setTimeout(() => {
      button.title = chat.words.copy;
      button.setAttribute("aria-label", chat.words.copy);
    }, 2_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !chat.open) return;
    if (button.dataset.chat === "copy") copy(button);
    else if (button.matches(".cb-copy")) copyCode(button);
  });
})();
