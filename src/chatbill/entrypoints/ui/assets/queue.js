// The messages of a conversation that wait for the reply before them, in the order in which they will be sent.
"use strict";

(() => {
  const chat = chatbill.chat;
  const nameOf = (conversation) => `cb-queue:${conversation}`;

  const queue = (chat.queue = {
    of: (conversation) => chatbill.store.read(nameOf(conversation)) ?? [],

    // A message with a `problem`, which says why it was refused, keeps those after it waiting.
    set(conversation, orders) {
      const kept = orders.map(({ key, text, model, branched, problem, unsure }) => ({ key, text, model, branched, problem, unsure }));
      chatbill.store.set(nameOf(conversation), kept.length ? JSON.stringify(kept) : "");
    },

    // What waits for the first reply of a new conversation waits in that conversation, open or not.
    move(conversation) {
      const waiting = queue.of("");
      queue.set("", []);
      if (waiting.length) queue.set(conversation, waiting);
    },

    // Keeps a message that waited and was refused in its place, whatever is in the box meanwhile. Where no answer came,
    // it is `unsure` whether the service has taken it.
    hold(order, problem) {
      const unsure = !problem.status || problem.code === "request_in_progress";
      const words = unsure ? chat.words.unsure : chat.reason(problem);
      queue.set(order.conversation, [{ ...order, unsure, problem: words }, ...queue.of(order.conversation)]);
    },

    change(key, changed) {
      queue.set(chat.conversation, queue.of(chat.conversation).flatMap((order) => (order.key === key ? changed(order) : [order])));
    },
  });
})();
