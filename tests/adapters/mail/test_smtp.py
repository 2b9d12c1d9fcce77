"""Letters over a real mail server in this process."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from chatbill.adapters.mail.letters import PATHS, RESET_PATH, TEXTS, VERIFY_PATH, written
from chatbill.adapters.mail.smtp import MailServer, SmtpMailer
from chatbill.application.ports.mail import Letter, LetterKind, NotSent
from chatbill.entrypoints.web import password_links
from tests.kit.mail import Inbox, mail_server

LETTER = Letter(
    id="job-1",
    kind=LetterKind.PASSWORD_LINK,
    to="ada@example.org",
    token="user.secret",
    expires_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest_asyncio.fixture
async def mailer(inbox: Inbox) -> AsyncIterator[SmtpMailer]:
    async with mail_server(inbox) as port:
        yield mailer_to(port)


def mailer_to(port: int, **changes: Any) -> SmtpMailer:
    server = replace(MailServer(host="127.0.0.1", port=port, tls="none", timeout_s=5), **changes)
    return SmtpMailer(server, sender="chat@example.org", service="chatbill", base="https://chat.example.org/pre/")


async def test_a_letter_arrives_once_with_its_link(mailer: SmtpMailer, inbox: Inbox) -> None:
    await mailer.send(LETTER)
    message = inbox.message()
    assert inbox.taken[0].rcpt_tos == ["ada@example.org"]
    assert (message["From"], message["To"]) == ("chatbill <chat@example.org>", "ada@example.org")
    assert message["Subject"] == "A new password for chatbill"
    assert message["Message-ID"] == "<job-1@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert "https://chat.example.org/pre/web/reset#user.secret" in text.splitlines()
    assert "2026-03-02 12:00 UTC" in text


async def test_a_letter_is_in_the_language_of_the_person(mailer: SmtpMailer, inbox: Inbox) -> None:
    await mailer.send(replace(LETTER, locale="ru-RU", kind=LetterKind.VERIFICATION))
    message = inbox.message()
    assert message["Subject"] == "Подтвердите адрес для chatbill"
    assert "https://chat.example.org/pre/web/verify#user.secret" in message.get_content()


async def test_an_address_in_other_letters_is_written_as_it_is(mailer: SmtpMailer, inbox: Inbox) -> None:
    await mailer.send(replace(LETTER, to="анна@пример.рф"))
    assert inbox.taken[0].rcpt_tos == ["анна@пример.рф"]


@pytest.mark.parametrize(
    "to",
    [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada@example.org, eve@example.org",
        "ada@example.org>\r\nRCPT TO:<eve@example.org",
        "Ada <ada@example.org>",
        "",
    ],
)
async def test_an_address_adds_no_header_and_no_recipient(mailer: SmtpMailer, inbox: Inbox, to: str) -> None:
    with pytest.raises(NotSent):
        await mailer.send(replace(LETTER, to=to))
    assert inbox.taken == []


@pytest.mark.parametrize(
    ("where", "answer"), [("answer", "451 Later, ada@example.org"), ("recipient", "550 No ada@example.org")]
)
async def test_what_the_server_refuses_is_an_error_that_names_no_person(
    mailer: SmtpMailer, inbox: Inbox, where: str, answer: str
) -> None:
    setattr(inbox, where, answer)
    with pytest.raises(NotSent) as refused:
        await mailer.send(LETTER)
    assert "ada" not in str(refused.value)
    assert "secret" not in str(refused.value) + repr(LETTER)


async def test_a_server_that_is_away_or_silent_is_an_error_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(NotSent):
            await mailer_to(port).send(LETTER)
        silent.listen()
        with pytest.raises(NotSent):
            await mailer_to(port, timeout_s=0.2).send(LETTER)


async def test_without_tls_of_the_server_nothing_is_sent_where_it_is_asked_for(
    mailer: SmtpMailer, inbox: Inbox
) -> None:
    with pytest.raises(NotSent):
        await mailer_to(mailer._server.port, tls="starttls").send(LETTER)
    assert inbox.taken == []


def test_every_letter_has_a_text_in_every_language_and_a_page() -> None:
    assert (RESET_PATH, VERIFY_PATH) == (password_links.PATH, password_links.VERIFY_PATH)
    assert set(PATHS) == set(LetterKind)
    for locale, texts in TEXTS.items():
        assert set(texts) == set(LetterKind)
        for kind in LetterKind:
            text = written(replace(LETTER, kind=kind, locale=locale), service="{x}", base="https://a.example")
            assert "{x}" in text.subject
            assert f"https://a.example{PATHS[kind]}#user.secret" in text.body
    for unknown in (None, "", "xx", "en_US", "EN"):
        assert written(replace(LETTER, locale=unknown), service="s", base="b").subject == "A new password for s"
