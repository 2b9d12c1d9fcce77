// The account: a panel over the chat page with the sessions of the user and a form for a new password.
"use strict";

{
  const panel = document.getElementById("cb-account");
  const form = panel.querySelector("form");
  const title = panel.querySelector("h2");
  const trouble = panel.querySelector(":scope > .trouble");
  const told = document.getElementById("cb-password-set");
  const SESSIONS = "../web/sessions";

  const rowOf = (session) => {
    const row = document.getElementById("cb-session-row").content.cloneNode(true);
    const name = session.client || "An unknown program";
    const facts = [
      session.current && "this browser",
      session.address,
      `since ${minute.format(new Date(session.created_at))}`,
      session.last_seen_at && `last seen ${minute.format(new Date(session.last_seen_at))}`,
    ];
    row.querySelector("strong").textContent = name;
    row.querySelector(".rule").textContent = facts.filter(Boolean).join(" · ");
    const button = row.querySelector("button");
    button.hidden = session.current;
    button.setAttribute("aria-label", `End the session of ${name}`);
    button.addEventListener("click", () => end(session, button));
    return row;
  };

  const list = async () => {
    const { said, problem } = await askSignedIn("GET", SESSIONS);
    trouble.textContent = problem?.detail ?? "";
    if (!problem) document.getElementById("cb-sessions").replaceChildren(...said.map(rowOf));
  };

  const end = async (session, button) => {
    if (button.disabled) return;
    button.disabled = true;
    const { problem } = await askSignedIn("DELETE", `${SESSIONS}/${encodeURIComponent(session.id)}`);
    await list();
    if (problem) trouble.textContent = problem.detail;
    title.focus();
  };

  const clear = () => {
    form.reset();
    unmark(form);
    told.textContent = "";
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector('[type="submit"]');
    if (button.disabled) return;
    unmark(form);
    told.textContent = "";
    button.disabled = true;
    const { problem } = await askSignedIn("POST", "../web/password", { revoke_api_keys: "", ...fieldsOf(form) });
    button.disabled = false;
    if (problem) return tell(form, problem);
    clear();
    told.textContent = "Your new password is set.";
    await list();
  });

  chatbill.showAccount = async () => {
    clear();
    panel.showModal();
    title.focus();
    await list();
  };

  panel.querySelector(".cb-close").addEventListener("click", () => panel.close());
  panel.addEventListener("close", clear);
}
