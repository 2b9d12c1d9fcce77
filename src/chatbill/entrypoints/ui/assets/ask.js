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
    return { problem: { detail: document.getElementById("cb-texts") ? JSON.parse(document.getElementById("cb-texts").textContent).unreachable : "The service cannot be reached. Try again in a moment." } };
  }
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

function fieldsOf(form) {
  return Object.fromEntries(new FormData(form));
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
  return [...form.querySelectorAll("input")].filter((input) => document.getElementById(`${input.id}-fault`));
}

function unmark(form) {
  form.querySelector(".trouble").textContent = "";
  inputsOf(form).forEach((input) => mark(input, ""));
}

function tell(form, problem) {
  form.querySelector(".trouble").textContent = problem.detail;
  const inputs = inputsOf(form);
  for (const { field, message } of problem.errors ?? []) {
    const input = inputs.find((candidate) => candidate.name === field);
    if (input) mark(input, message);
  }
  (form.querySelector("[aria-invalid]") ?? form.querySelector("[data-again]")).focus();
}
