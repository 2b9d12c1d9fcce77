// The sign-in page: two forms in two tabs.
"use strict";

const tabs = [...document.querySelectorAll('[role="tab"]')];

function show(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

for (const tab of tabs) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = tabs.find((candidate) => candidate !== tab && !candidate.hidden);
    if (other) { show(other); other.focus(); }
  });
}

function missing(form) {
  const empty = [...form.querySelectorAll("input")].filter((input) => input.required && !input.value);
  return empty.map((input) => ({ field: input.name, message: "is needed" }));
}

// The address names the view that is opened after signing in.
function wanted() {
  const address = new URL(location);
  address.searchParams.delete("ended");
  address.hash = "";
  return address;
}

// The code is asked for when the password was right. What is wrong after that is the code.
function askForCode() {
  const code = document.getElementById("code");
  document.getElementById("second-factor").hidden = false;
  document.getElementById("password").removeAttribute("data-again");
  code.required = true;
  code.setAttribute("data-again", "");
  code.focus();
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector('[type="submit"]');
    if (button.disabled) return;
    unmark(form);
    const errors = missing(form);
    if (errors.length) return tell(form, { detail: "", errors });
    button.disabled = true;
    const { problem } = await ask("POST", form.getAttribute("action"), fieldsOf(form));
    if (!problem) return location.replace(wanted());
    button.disabled = false;
    tell(form, problem);
    if (problem.code === "second_factor_required") askForCode();
  });
}

if (new URLSearchParams(location.search).has("ended")) document.getElementById("notice").hidden = false;
if (location.hash === "#register" && !tabs[1].hidden) show(tabs[1]);
document.querySelector("form:not([hidden]) input").focus();
