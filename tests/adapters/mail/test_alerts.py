"""Alerts by mail, over a real mail server in this process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chatbill.adapters.mail.alerts import AlertMailer
from chatbill.adapters.mail.smtp import MailServer
from chatbill.application.ports.notifier import NotDelivered
from chatbill.domain.monitoring.alerts import Alert, AlertKind, Severity
from chatbill.domain.shared.ids import AlertId
from tests.kit.mail import Inbox, mail_server

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALERT = Alert(
    id=AlertId("alert-1"),
    kind=AlertKind.SIGN_INS_FAIL,
    subject="203.0.113.7",
    source="store",
    severity=Severity.WARNING,
    evidence={"refused": 21, "name": "eve\r\nBcc: mallory@example.org\r\n\r\nAll is well"},
    opened_at=NOON,
    seen_at=NOON,
    notified_at=NOON,
)


def mailer(port: int) -> AlertMailer:
    server = MailServer(host="127.0.0.1", port=port, tls="none", timeout_s=20)
    recipients = ("ops@example.org", "night@example.org")
    return AlertMailer(server, sender="chat@example.org", service="chatbill", recipients=recipients)


async def test_an_alert_goes_to_all_recipients_with_its_evidence() -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await mailer(port).send("job-1", "opened", ALERT)
    message = inbox.message()
    assert inbox.taken[0].rcpt_tos == ["ops@example.org", "night@example.org"]
    assert (message["Subject"], message["Message-ID"]) == (
        "[chatbill] warning: sign ins fail (opened)",
        "<job-1@example.org>",
    )
    lines = message.get_content().splitlines()
    assert {"What: 203.0.113.7", "refused: 21", "opened at: 2026-03-02 12:00:00 UTC"} <= set(lines)


async def test_what_others_have_written_makes_no_line_no_header_and_no_recipient() -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await mailer(port).send("job-1", "opened", replace(ALERT, subject="a\nb\x1b[2J"))
    message = inbox.message()
    assert message["Bcc"] is None
    lines = message.get_content().splitlines()
    assert "What: a b [2J" in lines
    assert "name: eve Bcc: mallory@example.org All is well" in lines


async def test_a_server_that_refuses_is_an_error_for_another_attempt() -> None:
    inbox = Inbox()
    inbox.answer = "451 Later, ops@example.org"
    async with mail_server(inbox) as port:
        with pytest.raises(NotDelivered) as refused:
            await mailer(port).send("job-1", "opened", ALERT)
    assert str(refused.value) == "the mail server answered 451"
