// API keys: a panel over the chat page. The secret of a new key is only in its element, and only while it is shown.
"use strict";

const keysPanel = document.getElementById("cb-keys");
const part = (selector) => keysPanel.querySelector(selector);
const secret = part("#cb-key-text");
const KEYS = "../web/api-keys";
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

chatbill.showKeys = async () => {
  keysPanel.querySelectorAll(".cb-base").forEach((element) => { element.textContent = new URL("../v1", location).href; });
  part("#cb-keys-list").replaceChildren();
  forget();
  keysPanel.showModal();
  part("h2").focus();
  await listKeys();
};

async function askSignedIn(method, address, fields) {
  const answer = await ask(method, address, fields);
  const { code, status } = answer.problem ?? {};
  if (status === 401 && code !== "invalid_credentials") location.replace(ended());
  return answer;
}

function creditsText(count) {
  return `${count.toLocaleString("en")} ${count === 1 ? "credit" : "credits"}`;
}

function factsOf(key) {
  const used = key.used_this_month;
  const spent = key.monthly_cap === null ? creditsText(used) : `${used.toLocaleString("en")} of ${creditsText(key.monthly_cap)}`;
  const facts = [
    `${spent} this month`,
    key.last_used_at ? `last used ${minute.format(new Date(key.last_used_at))}` : "never used",
    `made ${day.format(new Date(key.created_at))}`,
    `may: ${key.scopes.join(", ")}`,
  ];
  if (key.expires_at) facts.push(`${key.active ? "ends" : "ended"} ${minute.format(new Date(key.expires_at))}`);
  // Lines break only between the facts.
  return facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join("\u00a0· ");
}

function rowOf(key) {
  const row = part("#cb-key-row").content.cloneNode(true);
  row.querySelector(".cb-key-name").textContent = key.name;
  row.querySelector(".cb-key-start").textContent = `${key.starts_with}…`;
  row.querySelector(".rule").textContent = factsOf(key);
  const button = row.querySelector("button");
  button.setAttribute("aria-label", `Revoke ${key.name}`);
  button.addEventListener("click", () => revoke(key, button));
  return row;
}

async function listKeys() {
  const { said, problem } = await askSignedIn("GET", KEYS);
  part("#cb-keys-all > .trouble").textContent = problem?.detail ?? "";
  if (problem) return;
  part("#cb-keys-list").replaceChildren(...said.keys.map(rowOf));
  part("#cb-keys-none").hidden = said.keys.length > 0;
  part(".cb-model").textContent = said.model;
}

async function revoke(key, button) {
  const asked = `Revoke “${key.name}”? Programs that use it stop working at once, and for ever.`;
  if (button.disabled || !confirm(asked)) return;
  button.disabled = true;
  const { problem } = await askSignedIn("DELETE", `${KEYS}/${encodeURIComponent(key.id)}`);
  await listKeys();
  if (problem) part("#cb-keys-all > .trouble").textContent = problem.detail;
  part("h2").focus();
}

async function make(form) {
  const button = form.querySelector("button");
  if (button.disabled) return;
  unmark(form);
  button.disabled = true;
  const { said, problem } = await askSignedIn("POST", KEYS, { ...fieldsOf(form), scopes: new FormData(form).getAll("scopes").join(" ") });
  button.disabled = false;
  const password = part("#cb-key-password");
  if (problem?.code === "password_required") {
    part("#cb-key-again").hidden = false;
    problem.errors = [{ field: "password", message: "is needed, because you did not sign in just now" }];
    problem.detail = "";
  }
  if (problem) return tell(form, problem);
  password.value = "";
  part("#cb-key-again").hidden = true;
  // If the panel was closed meanwhile, the key is not shown; it is in the list.
  if (keysPanel.open) show(said.key);
}

function show(text) {
  secret.textContent = text;
  part("#cb-keys-all").hidden = true;
  part("#cb-key-made").hidden = false;
  part("#cb-key-copy").focus();
}

// Goes back to the list, and removes the key that was shown.
function forget() {
  secret.textContent = "";
  part("#cb-key-copied").textContent = "";
  part("#cb-keys-all").hidden = false;
  part("#cb-key-made").hidden = true;
  part("form").reset();
  unmark(part("form"));
}

async function copySecret() {
  const done = await copyText(secret);
  part("#cb-key-copied").textContent = done ? "Copied." : "It is marked: press Ctrl+C to copy it.";
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  make(event.target);
});
part("#cb-key-copy").addEventListener("click", copySecret);
part("#cb-key-done").addEventListener("click", async () => {
  forget();
  part("h2").focus();
  await listKeys();
});
part(".cb-close").addEventListener("click", () => keysPanel.close());
keysPanel.addEventListener("close", () => {
  forget();
  // A program may have spent credits.
  document.querySelector("#cb-refresh")?.click();
});
// The key Escape does not close a new key that may not be copied yet.
keysPanel.addEventListener("cancel", (event) => {
  if (secret.textContent) event.preventDefault();
});
window.addEventListener("pagehide", forget);
