// Parts that views share: buttons that show more below them, and hide it again.
"use strict";

// A button with `data-load` and `aria-expanded` hides what it has loaded when it is pressed again.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.('button[data-load][aria-expanded="true"]');
  if (!button) return;
  event.stopPropagation();
  document.getElementById(button.dataset.into).textContent = "";
  button.setAttribute("aria-expanded", "false");
}, true);

chatbill.on("fragment", (element) => {
  if (!element.id) return;
  for (const button of document.querySelectorAll(`button[aria-expanded][data-into="${CSS.escape(element.id)}"]`)) {
    button.setAttribute("aria-expanded", "true");
  }
});
