// The event connection, in a page or, as a shared worker, for all pages of a browser. HTTP/1.1 has only six connections
// for all tabs.
"use strict";

const NAMES = ["connected", "balance", "conversations", "models", "started", "reply", "settled", "left"];
const QUIET_MS = 40_000;
const RETRY_MS = 3_000;

let source;
let heard = 0;
let last = "";

// Connects, and passes each event on as its name and its data, from the one on that was heard last.
function connect(address, pass) {
  const tell = (name, detail) => {
    heard = Date.now();
    pass(name, detail);
  };
  source?.close();
  const mine = (source = new EventSource(`${address}?last=${encodeURIComponent(last)}`));
  heard = Date.now();
  for (const name of NAMES) {
    source.addEventListener(name, (event) => {
      last = event.lastEventId;
      tell(name, JSON.parse(event.data));
    });
  }
  source.addEventListener("open", () => tell("online", {}));
  source.addEventListener("error", async () => {
    tell("offline", {});
    // The browser connects again by itself unless it was refused.
    if (mine.readyState !== EventSource.CLOSED) return;
    const answer = await fetch(address, { method: "HEAD" }).catch(() => null);
    if (answer?.status === 401) return tell("left", {});
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (source === mine) connect(address, pass);
  });
}

if (typeof SharedWorkerGlobalScope !== "undefined") {
  const channel = new BroadcastChannel(self.name);
  // Addresses are relative to that of this file.
  const begin = () => connect("../events", (name, detail) => channel.postMessage({ name, detail }));
  // A page says that it was asleep; so was this worker, if it has heard nothing either.
  self.addEventListener("connect", ({ ports: [port] }) => {
    // Its person has signed out, and in again.
    if (source.readyState === EventSource.CLOSED) begin();
    port.onmessage = () => { if (Date.now() - heard > QUIET_MS) begin(); };
  });
  begin();
}
