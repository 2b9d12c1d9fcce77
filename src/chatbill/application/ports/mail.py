"""The mail port: it sends letters to people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chatbill.domain.shared.errors import ChatbillError


class NotSent(ChatbillError):
    """Raised when a letter was not taken by the mail server. The text is for operators, and names no person."""

    code = "mail_not_sent"


class LetterKind(StrEnum):
    """What a letter says."""

    PASSWORD_LINK = "password_link"  # noqa: S105 - a name
    VERIFICATION = "verification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter with a one-time link. `locale` is the language of the person, None where it is not known.

    `id` is the same where a letter is sent again, so that a mail server can notice it.
    """

    id: str
    kind: LetterKind
    to: str
    token: str = field(repr=False)
    expires_at: datetime
    locale: str | None = None


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter) -> None:
        """Hand the letter to a mail server, within a bounded time. Raises `NotSent`."""
        ...
