"""Letters over TLS to a real mail server, whose certificate an authority of the test has signed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from chatbill.adapters.mail.smtp import MailServer, SmtpMailer, TlsMode
from chatbill.application.ports.mail import Letter, LetterKind, NotSent

LETTER = Letter(
    id="job-1",
    kind=LetterKind.VERIFICATION,
    to="ada@example.org",
    token="user.secret",
    expires_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
)
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # of a server behind TLS
ENCRYPTED: tuple[TlsMode, ...] = ("starttls", "tls")


class Inbox:
    """Keeps what has arrived: whether it was encrypted, and as which user."""

    def __init__(self) -> None:
        self.arrived: list[tuple[bool, bytes | None]] = []
        self.tried: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert server.transport is not None
        is_encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.arrived.append((is_encrypted, session.auth_data))
        return "250 OK"

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, data: Any) -> AuthResult:
        self.tried.append(data.password)
        return AuthResult(success=data.password == b"right", handled=False, auth_data=data.login)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority of the test, by the way in which an operator trusts one."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@asynccontextmanager
async def server(inbox: Inbox, tls: TlsMode, authority: trustme.CA, name: str) -> AsyncIterator[int]:
    """Serve mail with a certificate for this name; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    offers = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {"auth_require_tls": False}

    def smtp() -> SMTP:
        return SMTP(inbox, hostname="here", authenticator=inbox.authenticate, auth_required=True, **offers)

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(smtp, "127.0.0.1", 0, ssl=context if tls == "tls" else None)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


def mailer(port: int, tls: TlsMode, password: str = "right") -> SmtpMailer:
    to = MailServer(host="127.0.0.1", port=port, tls=tls, username="chat", password=password, timeout_s=20)
    return SmtpMailer(to, sender="chat@example.org", service="chatbill", base="https://chat.example.org")


@pytest.mark.parametrize("tls", ENCRYPTED)
async def test_a_letter_and_the_password_go_over_tls(tls: TlsMode, authority: trustme.CA) -> None:
    inbox = Inbox()
    async with server(inbox, tls, authority, "127.0.0.1") as port:
        await mailer(port, tls).send(LETTER)
    assert inbox.arrived == [(True, b"chat")]


@pytest.mark.parametrize("tls", ENCRYPTED)
async def test_a_certificate_of_an_unknown_authority_gets_neither_letter_nor_password(tls: TlsMode) -> None:
    inbox = Inbox()
    async with server(inbox, tls, trustme.CA(), "127.0.0.1") as port:
        with pytest.raises(NotSent) as refused:
            await mailer(port, tls).send(LETTER)
    assert (inbox.arrived, inbox.tried) == ([], [])
    assert "right" not in str(refused.value)


@pytest.mark.parametrize("tls", ENCRYPTED)
async def test_a_certificate_of_another_host_gets_neither_letter_nor_password(
    tls: TlsMode, authority: trustme.CA
) -> None:
    inbox = Inbox()
    async with server(inbox, tls, authority, "mail.example.org") as port:
        with pytest.raises(NotSent):
            await mailer(port, tls).send(LETTER)
    assert (inbox.arrived, inbox.tried) == ([], [])


@pytest.mark.parametrize("tls", ENCRYPTED)
async def test_a_wrong_password_is_an_error_that_does_not_quote_it(tls: TlsMode, authority: trustme.CA) -> None:
    inbox = Inbox()
    async with server(inbox, tls, authority, "127.0.0.1") as port:
        with pytest.raises(NotSent) as refused:
            await mailer(port, tls, password="wrong").send(LETTER)
    assert (inbox.arrived, set(inbox.tried)) == ([], {b"wrong"})
    assert str(refused.value) == "the mail server answered 535"
