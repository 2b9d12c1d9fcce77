// The account: the dialog of API keys, copies of secrets, colours and time zones.
"use strict";

{
  const KEYS = "../web/api-keys";
  const part = (id) => document.getElementById(id);

  const list = async () => {
    const { html, problem } = await fragment(KEYS);
    if (!part("cb-keys-list")) return;
    part("cb-keys-trouble").textContent = problem?.detail ?? "";
    if (problem) return;
    put(part("cb-keys-list"), html);
    const { model } = part("cb-keys-list").firstElementChild.dataset;
    part("cb-keys").querySelectorAll(".cb-example-model").forEach((place) => { place.textContent = model ?? ""; });
  };

  // Shows the list, and leaves no secret in the page.
  const begin = async () => {
    const dialog = part("cb-keys");
    dialog.replaceChildren(part("cb-keys-content").content.cloneNode(true));
    const address = new URL("../v1", document.baseURI).href;
    dialog.querySelectorAll(".cb-example-base").forEach((place) => { place.textContent = address; });
    if (!dialog.open) dialog.showModal();
    part("cb-keys-title").focus();
    await list();
  };

  const make = async (form) => {
    const button = form.querySelector('[type="submit"]');
    if (button.disabled) return;
    unmark(form);
    const { said, problem } = await whileOff(button, () => ask("POST", KEYS, fieldsOf(form)));
    if (problem?.status === 401 && problem.code !== "invalid_credentials") return chatbill.leave();
    if (problem) return tell(form, problem);
    // If the dialog was closed meanwhile, the key is not shown; it is in the list.
    if (!form.isConnected) return;
    part("cb-key-text").textContent = said.key;
    part("cb-keys-all").hidden = true;
    part("cb-key-made").hidden = false;
    part("cb-key-copy").focus();
  };

  // The words on the button change for a moment, and a screen reader says them.
  const copy = async (button) => {
    const copied = await copyText(part(button.dataset.copy));
    chatbill.say(copied ? chatbill.texts.copied : chatbill.texts.press_to_copy);
    button.dataset.words ??= button.textContent;
    button.textContent = copied ? chatbill.texts.copied : chatbill.texts.press_to_copy;
    setTimeout(() => { button.textContent = button.dataset.words; }, 2_500);
    button.focus();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.keys !== undefined || button.id === "cb-key-done") begin();
    else if (button.dataset.copy) copy(button);
    else if (button.dataset.refresh !== undefined) chatbill.refresh();
    else if (button.id === "cb-zone-here") {
      part("cb-zone").value = button.dataset.zone;
      part("cb-zone").focus();
      button.hidden = true;
    }
  });

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "cb-key-form") return;
    event.preventDefault();
    make(event.target);
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "cb-look") cbTheme.choose(event.target.value);
  });

  const prepareZone = () => {
    part("cb-zones").replaceChildren(...Intl.supportedValuesOf("timeZone").map((zone) => new Option("", zone)));
    const button = part("cb-zone-here");
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    button.dataset.zone = here;
    button.textContent = button.dataset.text.replace("{zone}", here);
    button.hidden = !here || part("cb-zone").value === here;
  };

  chatbill.on("view", (shown) => {
    if (part("cb-zone")) prepareZone();
    if (part("cb-look")) part("cb-look").value = cbTheme.chosen;
    const dialog = part("cb-keys");
    if (shown?.dataset.name !== "account" || !dialog) return;
    dialog.addEventListener("close", () => dialog.replaceChildren());
    // The key Escape does not close a new key that may not be copied yet.
    dialog.addEventListener("cancel", (event) => {
      if (part("cb-key-text")?.textContent) event.preventDefault();
    });
  });

  addEventListener("pagehide", () => part("cb-keys")?.replaceChildren());
}
