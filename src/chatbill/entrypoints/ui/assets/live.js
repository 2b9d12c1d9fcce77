// The event connection. One tab of a browser holds it and passes the events on to the others, because HTTP/1.1 has only
// six connections for all tabs. Where the browser has no locks (pages without HTTPS), each tab has its own.
"use strict";

const NAMES = ["connected", "balance", "conversations", "models", "started", "reply", "settled", "left"];
const QUIET_MS = 40_000;
// Tabs of another person in the same browser have a connection of their own.
const FEED = `chatbill-events-${frame.dataset.me}`;
const channel = "BroadcastChannel" in window ? new BroadcastChannel(FEED) : undefined;

let source;
let heard = 0;
let lost = false;

function deliver(name, detail) {
  heard = Date.now();
  chatbill.emit(name, detail);
}

function connect() {
  source?.close();
  source = new EventSource("../web/events");
  heard = Date.now();
  for (const name of NAMES) {
    source.addEventListener(name, (event) => {
      const detail = JSON.parse(event.data);
      deliver(name, detail);
      channel?.postMessage({ name, detail });
    });
  }
  source.addEventListener("open", () => share("online"));
  source.addEventListener("error", async () => {
    share("offline");
    // The browser connects again by itself unless it was refused.
    if (source.readyState !== EventSource.CLOSED) return;
    const answer = await fetch("../web/events", { method: "HEAD" }).catch(() => null);
    if (answer?.status === 401) return chatbill.leave();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    connect();
  });
}

function share(name) {
  deliver(name, {});
  channel?.postMessage({ name, detail: {} });
}

channel?.addEventListener("message", ({ data }) => deliver(data.name, data.detail));

// A page that was frozen, or whose holder of the connection was, hears nothing of what happened.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && source && Date.now() - heard > QUIET_MS) connect();
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
    connect();
    return new Promise(() => {});
  });
} else connect();
