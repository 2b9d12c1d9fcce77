"""Sends letters by SMTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any, Final, Literal

import aiosmtplib

from chatbill.adapters.mail.letters import written
from chatbill.application.ports.mail import Letter, NotSent

TlsMode = Literal["starttls", "tls", "none"]
ONE_ADDRESS: Final = re.compile(r'[^\s\x00-\x1f\x7f<>()\[\],;:\\"@]+@[^\s\x00-\x1f\x7f<>()\[\],;:\\"@]+')
AUTOMATIC: Final = "auto-generated"  # RFC 3834: no vacation notice answers it


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A mail server. With the mode `starttls` or `tls`, nothing is sent without TLS and a valid certificate."""

    host: str
    port: int
    tls: TlsMode
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0


class SmtpMailer:
    """Sends each letter on a connection of its own. `base` is the address of the web page, for links."""

    def __init__(self, server: MailServer, *, sender: str, service: str, base: str) -> None:
        self._server = server
        self._sender = sender
        self._service = service
        self._base = base

    async def send(self, letter: Letter) -> None:
        """Send a letter as plain text."""
        text = written(letter, service=self._service, base=self._base)
        await deliver(
            self._server,
            id_=letter.id,
            sender=self._sender,
            service=self._service,
            recipients=(letter.to,),
            subject=text.subject,
            body=text.body,
        )


async def probe(server: MailServer) -> None:
    """Connect, sign in as for a letter, and leave. Raises `NotSent` with the reason."""
    with _told():
        async with asyncio.timeout(server.timeout_s), aiosmtplib.SMTP(**_connection(server)) as client:
            await client.noop()


async def deliver(
    server: MailServer, *, id_: str, sender: str, service: str, recipients: tuple[str, ...], subject: str, body: str
) -> None:
    """Hand plain text to the mail server, within its time. `id_` is the same where it is sent again.

    Raises `NotSent`, which does not quote an answer of the server, as it may name a person.
    """
    with _told():
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(service, addr_spec=sender)
        message["To"] = [_address(each) for each in recipients]
        message["Subject"] = subject
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{id_}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = AUTOMATIC
        message.set_content(body)
        async with asyncio.timeout(server.timeout_s):
            await aiosmtplib.send(message, sender=sender, recipients=list(recipients), **_connection(server))


def _connection(server: MailServer) -> dict[str, Any]:
    return {
        "hostname": server.host,
        "port": server.port,
        "username": server.username,
        "password": server.password,
        "use_tls": server.tls == "tls",
        "start_tls": server.tls == "starttls",
        "timeout": server.timeout_s,
    }


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the mail server into `NotSent`, without its answer."""
    try:
        yield
    except aiosmtplib.SMTPRecipientsRefused:
        raise NotSent("the mail server refused the recipient") from None
    except aiosmtplib.SMTPResponseException as error:
        raise NotSent(f"the mail server answered {error.code}") from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NotSent(f"the mail server was not reached: {type(error).__name__}") from None


def _address(text: str) -> Address:
    """Return the address, in any script. Raises `ValueError` for text with more than one address, or with a name."""
    if not ONE_ADDRESS.fullmatch(text):
        raise ValueError("this is not one address")
    username, _, domain = text.rpartition("@")
    return Address(username=username, domain=domain)
