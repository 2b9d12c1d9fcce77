"""A real mail server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

from aiosmtpd.smtp import SMTP, Envelope, Session


class Inbox:
    """What the mail server has taken. `answer` is what it says to a letter, and `recipient` to its recipient."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.answer = "250 OK"
        self.recipient = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        return self.answer

    def message(self) -> EmailMessage:
        (envelope,) = self.taken
        return message_from_bytes(cast("bytes", envelope.content), policy=default)


@asynccontextmanager
async def mail_server(inbox: Inbox) -> AsyncIterator[int]:
    """Serve mail without encryption; yield the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, enable_SMTPUTF8=True, hostname="here"), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
