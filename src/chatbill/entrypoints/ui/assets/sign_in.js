// The sign-in page: two forms in two tabs. What goes wrong is said beside the field, or above the button.
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

function mark(input, words) {
  const fault = document.getElementById(`${input.id}-fault`);
  fault.textContent = words;
  if (words) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-errormessage", fault.id);
  } else {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-errormessage");
  }
}

function tell(form, problem) {
  form.querySelector(".trouble").textContent = problem.detail;
  const inputs = [...form.querySelectorAll("input")];
  for (const { field, message } of problem.errors ?? []) {
    const input = inputs.find((candidate) => candidate.name === field);
    if (input) mark(input, `This ${message}.`);
  }
  (inputs.find((input) => input.getAttribute("aria-invalid")) ?? inputs.at(-1)).focus();
}

async function post(form) {
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    return answer.ok ? null : await answer.json();
  } catch {
    return { detail: "The service cannot be reached. Try again in a moment." };
  }
}

function missing(form) {
  const empty = [...form.querySelectorAll("input")].filter((input) => !input.value);
  return empty.map((input) => ({ field: input.name, message: "is needed" }));
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector('[type="submit"]');
    if (button.disabled) return;
    form.querySelector(".trouble").textContent = "";
    form.querySelectorAll("input").forEach((input) => mark(input, ""));
    const errors = missing(form);
    if (errors.length) return tell(form, { detail: "", errors });
    button.disabled = true;
    const problem = await post(form);
    if (!problem) return location.replace("/ui/");
    button.disabled = false;
    tell(form, problem);
  });
}

if (new URLSearchParams(location.search).has("ended")) document.getElementById("notice").hidden = false;
if (location.hash === "#register" && !tabs[1].hidden) show(tabs[1]);
document.querySelector("form:not([hidden]) input").focus();
