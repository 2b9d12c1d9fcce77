// The events of the service. One tab of a browser holds the connection and passes the events on to the others. Where the
// browser has no locks (pages without HTTPS), a shared worker holds it, and where it has no such workers, each tab.
"use strict";

// Tabs of another person in the same browser, or of another version, have a connection of their own.
const FEED = `chatbill-events-${frame.dataset.me}-${frame.dataset.connection}`;
const channel = "BroadcastChannel" in window ? new BroadcastChannel(FEED) : undefined;

let worker;
let lost = false;

function begin() {
  connect("../web/events", (name, detail) => {
    chatbill.emit(name, detail);
    channel?.postMessage({ name, detail });
  });
}

channel?.addEventListener("message", ({ data }) => {
  heard = Date.now();
  chatbill.emit(data.name, data.detail);
});

// A page that was frozen, or whose holder of the connection was, hears nothing of what happened.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible" || Date.now() - heard <= QUIET_MS) return;
  if (worker) worker.port.postMessage("again");
  else if (source) begin();
});

chatbill.on("offline", () => {
  if (lost) return;
  lost = true;
  // A short loss is not worth a word.
  setTimeout(() => { if (lost) chatbill.tell(texts.reconnecting); }, 2_000);
});

chatbill.on("online", () => {
  if (document.getElementById("cb-notice").textContent === texts.unreachable) chatbill.tell("");
  if (!lost) return;
  lost = false;
  chatbill.tell("");
  chatbill.say(texts.reconnected);
});

chatbill.on("left", () => chatbill.leave());
chatbill.on("balance", ({ text }) => { document.getElementById("cb-balance").textContent = text; });

if (channel && navigator.locks) {
  navigator.locks.request(FEED, () => {
    begin();
    return new Promise(() => {});
  });
} else if (channel && "SharedWorker" in window) {
  worker = new SharedWorker(new URL(frame.dataset.connection, document.baseURI), FEED);
  worker.onerror = begin;
  worker.port.start();
} else begin();
