// The view of credits: the shop and its two dialogs, the price of an amount as it is typed, and figures that stay right.
"use strict";

(() => {
  const PAUSE_MS = 150;
  const element = (id) => document.getElementById(id);
  const isOpen = () => chatbill.view.firstElementChild?.dataset.name === "credits";
  let opener;
  let typing;
  let renewing;

  // Balance and transactions change without a new view, so that nothing that was typed or opened is lost.
  function renew() {
    clearTimeout(renewing);
    renewing = setTimeout(() => {
      if (!isOpen()) return;
      chatbill.load(element("cb-wallet"), "../web/credits/wallet");
      chatbill.load(element("cb-transactions"), `../web/credits/transactions${location.search}`);
    }, PAUSE_MS);
  }

  // A message that was refused for want of credits is kept by the chat, to which these links lead.
  function showKept() {
    const kept = chatbill.store.read("cb-kept");
    for (const link of chatbill.view.querySelectorAll(".cb-kept")) link.hidden = !kept;
  }

  async function showPrice() {
    const amount = element("cb-amount");
    const said = element("cb-amount-price");
    if (!amount) return;
    if (!amount.value) {
      said.textContent = said.dataset.unknown;
      return;
    }
    const typed = amount.value;
    const { said: price } = await ask("GET", `../web/credits/price?amount=${encodeURIComponent(typed)}`);
    // A slow answer must not stand beside another amount.
    if (!price || amount.value !== typed) return;
    said.textContent = price.text;
    said.classList.toggle("cb-credits", price.known);
  }

  chatbill.on("view", (shown) => {
    if (shown?.dataset.name !== "credits") return;
    showKept();
    const spending = element("cb-spending");
    chatbill.load(spending, spending.dataset.fill);
    element("cb-payment-dialog")?.addEventListener("close", () => opener?.focus());
    element("cb-shop")?.addEventListener("close", () => opener?.focus());
    // The chat leads here for want of credits. A reload does not open the shop again.
    if (!new URLSearchParams(location.search).has("add") || !element("cb-shop")) return;
    history.replaceState(null, "", location.pathname);
    shown.querySelector('[data-open="cb-shop"]').click();
  });

  // Shows the confirmation, and after it the result.
  chatbill.on("fragment", (put) => {
    if (put.id !== "cb-payment") return;
    element("cb-shop").close();
    const dialog = element("cb-payment-dialog");
    if (!dialog.open) dialog.showModal();
    put.querySelector("[autofocus]")?.focus();
    if (!put.querySelector("[data-bought]")) return;
    showKept();
    renew();
  });
  chatbill.on("fragment", (put) => { if (put.id === "cb-redeemed") renew(); });
  chatbill.on("balance", () => { if (isOpen()) renew(); });

  document.addEventListener("click", (event) => {
    const { target } = event;
    // The second click of a double click must not close what the first one brought.
    if (event.detail > 1 && target.closest?.("#cb-payment-dialog")) {
      event.preventDefault();
      event.stopPropagation();
    }
  }, true);

  document.addEventListener("click", async ({ target }) => {
    if (target.closest('[data-open="cb-shop"]')) opener = target.closest("button");
    const card = target.closest("button[data-package]");
    if (card) {
      opener = card;
      await whileOff(card, () => chatbill.act("POST", "../web/credits/choice", { package: card.dataset.package }));
    }
    if (target.closest("#cb-payment-dialog [data-back]")) {
      const from = opener;
      element("cb-payment-dialog").close();
      element("cb-shop").showModal();
      opener = from;
    }
  });

  document.addEventListener("input", ({ target }) => {
    if (target.id !== "cb-amount") return;
    element("cb-own").checked = true;
    clearTimeout(typing);
    typing = setTimeout(showPrice, PAUSE_MS);
  });

  document.addEventListener("change", ({ target }) => {
    if (target.id === "cb-own") element("cb-amount").focus();
  });
})();
