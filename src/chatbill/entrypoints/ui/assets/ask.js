// Forms of both pages: they are sent as JSON. Errors are shown beside the field, or above the button.
"use strict";

// Sends a request to this service. Returns its answer, or its error.
async function ask(method, address, fields) {
  try {
    const answer = await fetch(address, {
      method,
      headers: fields && { "Content-Type": "application/json" },
      body: fields && JSON.stringify(fields),
    });
    const said = answer.status === 204 ? {} : await answer.json();
    return answer.ok ? { said } : { problem: { ...said, status: answer.status } };
  } catch {
    return { problem: { detail: JSON.parse(document.getElementById("cb-texts").textContent).unreachable } };
  }
}

// Sends a request until there is an answer. Its key makes the service do it once.
async function insist(address, fields, slow = () => {}) {
  for (const pause of [1_000, 3_000, 6_000, 0]) {
    const { said, problem } = await ask("POST", address, fields);
    const again = problem && (!problem.status || problem.code === "request_in_progress");
    if (!again || !pause) return { said, problem };
    slow();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return {};
}

// Browsers allow the clipboard only for pages of HTTPS or localhost; the older way works for other pages too.
async function copyText(element) {
  getSelection().selectAllChildren(element);
  const copied = await navigator.clipboard?.writeText(element.textContent).then(() => true, () => false);
  if (copied) return true;
  // The text itself is put in: the copy of a selection loses line breaks at its end.
  const put = (event) => {
    event.clipboardData.setData("text/plain", element.textContent);
    event.preventDefault();
  };
  document.addEventListener("copy", put, { once: true });
  return document.execCommand("copy");
}

// The values of fields that share a name are joined by spaces.
function fieldsOf(form, button) {
  const data = new FormData(form, button);
  return Object.fromEntries([...new Set(data.keys())].map((name) => [name, data.getAll(name).join(" ")]));
}

// Turns a button off while something is going on. It keeps the focus, which browsers take from what is off.
async function whileOff(button, work) {
  const focused = document.activeElement === button;
  if (button) button.disabled = true;
  try {
    return await work();
  } finally {
    if (button) button.disabled = false;
    if (focused && button.isConnected && [document.body, null].includes(document.activeElement)) button.focus({ preventScroll: true });
  }
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

// The inputs that have a place for an error.
function inputsOf(form) {
  return [...form.querySelectorAll("input, select, textarea")].filter((input) => document.getElementById(`${input.id}-fault`));
}

// Shows an error of a whole form, in the form if it has a place for one.
function trouble(form, words) {
  const place = form.querySelector(".trouble");
  if (place) place.textContent = words;
  else chatbill.tell(words);
}

function unmark(form) {
  trouble(form, "");
  inputsOf(form).forEach((input) => mark(input, ""));
}

function tell(form, problem) {
  trouble(form, problem.detail);
  const inputs = inputsOf(form);
  for (const { field, message } of problem.errors ?? []) {
    const input = inputs.find((candidate) => candidate.name === field);
    if (!input) continue;
    // Some fields are only asked for when they are needed, such as the password.
    input.closest("[data-if-asked]")?.removeAttribute("hidden");
    mark(input, message);
  }
  (form.querySelector("[aria-invalid]") ?? form.querySelector("[data-again]"))?.focus();
}
