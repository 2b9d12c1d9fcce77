// The buttons that copy code. Code is copied exactly as the model wrote it.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".cb-copy");
  if (!button) return;
  const done = await copyText(button.parentElement.querySelector("pre"));
  getSelection().removeAllRanges();
  button.title = done ? "Copied" : "Not copied";
  setTimeout(() => (button.title = "Copy"), 2_000);
});
