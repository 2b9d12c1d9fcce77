"""One-time links: made with a secret of which only a digest is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbill.application.ports.tokens import Tokens
from chatbill.domain.accounts.passwords import LINK_S, LinkParts, PasswordLink
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """The token of a new link, which is not stored and cannot be shown again, and when it expires."""

    token: str = field(repr=False)
    expires_at: datetime


def new_link(user_id: UserId, tokens: Tokens, *, at: datetime) -> tuple[PasswordLink, IssuedLink]:
    """Return a new link as it is stored, and with its token."""
    secret, expires_at = tokens.new_secret(), at + timedelta(seconds=LINK_S)
    return PasswordLink(tokens.digest(secret), expires_at), IssuedLink(LinkParts(user_id, secret).text(), expires_at)
