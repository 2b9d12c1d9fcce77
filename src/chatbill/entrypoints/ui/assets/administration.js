// Forms that act once: a key goes with each, so that a second click or a lost answer repeats nothing.
"use strict";

chatbill.on("fragment", (element) => {
  for (const input of element.querySelectorAll("input[data-key]")) {
    input.value = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  }
});

chatbill.on("view", (shown) => {
  shown?.querySelector(".cb-sections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button && await copyText(document.getElementById(button.dataset.copy))) chatbill.say(texts.copied);
});
