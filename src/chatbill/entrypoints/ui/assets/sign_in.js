// The sign-in page: two forms in two tabs, and one for a forgotten password.
"use strict";

const words = JSON.parse(document.getElementById("cb-texts").textContent);
const tabs = [...document.querySelectorAll('[role="tab"]')];
const part = (id) => document.getElementById(id);

function show(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    part(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (part("forgot")) part("forgot").hidden = true;
}

for (const tab of tabs) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = tabs.find((candidate) => candidate !== tab);
    if (other) {
      show(other);
      other.focus();
    }
  });
}

function missing(form) {
  const empty = [...form.querySelectorAll("input")].filter((input) => input.required && !input.value);
  return empty.map((input) => ({ field: input.name, message: words.needed }));
}

// The view that the address names is opened after signing in.
function wanted() {
  const address = new URL(location);
  for (const name of ["ended", "lang"]) address.searchParams.delete(name);
  address.hash = "";
  return address;
}

// The code is asked for when the password was right. What is wrong after that is the code.
function askForCode() {
  const code = part("code");
  part("second-factor").hidden = false;
  part("password").removeAttribute("data-again");
  code.required = true;
  code.setAttribute("data-again", "");
  code.focus();
}

async function enter(form) {
  const { problem } = await whileOff(form.querySelector('[type="submit"]'), () =>
    ask("POST", form.getAttribute("action"), fieldsOf(form)));
  if (!problem) return location.replace(wanted());
  tell(form, problem);
  if (problem.code === "second_factor_required") askForCode();
}

async function forget(form) {
  const { problem } = await whileOff(form.querySelector('[type="submit"]'), () =>
    ask("POST", form.getAttribute("action"), fieldsOf(form)));
  if (problem) return tell(form, problem);
  part("forgot-sent").textContent = part("forgot-sent").dataset.text;
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.querySelector('[type="submit"]').disabled) return;
    unmark(form);
    const errors = missing(form);
    if (errors.length) tell(form, { detail: "", errors });
    else if (form.id === "forgot") forget(form);
    else enter(form);
  });
}

part("forgotten")?.addEventListener("click", () => {
  part("panel-sign-in").hidden = true;
  part("forgot").hidden = false;
  part("forgot-sent").textContent = "";
  if (part("login").value.includes("@")) part("forgot-email").value = part("login").value;
  part("forgot-email").focus();
});
part("remembered")?.addEventListener("click", () => {
  show(tabs[0]);
  part("login").focus();
});

// A browser that came by a link of another site may be signed in, and sends its cookie with this request.
if (document.body.dataset.linked !== undefined) location.replace(wanted());
if (part("time-zone")) part("time-zone").value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
if (new URLSearchParams(location.search).has("ended")) part("notice").hidden = false;
if (location.hash === "#register" && tabs[1]) show(tabs[1]);
document.querySelector('[role="tabpanel"]:not([hidden]) input:not([type="hidden"])').focus();
