"""Rules for passwords, and links with which a person sets a new one."""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import FieldError, Forbidden, InvalidRequest
from chatbill.domain.shared.ids import UserId

PASSWORD_CHARS: Final = (8, 256)
"""The shortest and the longest password, in characters after normalization."""
LINK_S: Final = 86_400
"""The lifetime of a link for a new password, in seconds."""
MAX_LINK_CHARS: Final = 256

IsCommon = Callable[[str], bool]
"""Says whether a password is one that many people use."""


class PasswordRequired(Forbidden):
    """The person must prove again who they are, because the sign-in is not recent."""

    code = "password_required"


def normalized_password(password: str) -> str:
    """Return the form in which passwords are hashed: the same for each Unicode spelling (NFKC, NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def spellings(password: str) -> tuple[str, ...]:
    """Return the forms that a stored hash may be of: the normalized one, and as typed in hashes from before."""
    return tuple(dict.fromkeys((normalized_password(password), password)))


def password_fault(password: str, *names: str, is_common: IsCommon) -> Description | None:
    """Return the rule that a new password breaks: its length is wrong, or it is obvious (see NIST SP 800-63B).

    `names` are the username and the e-mail address of the person.
    """
    password = normalized_password(password)
    if not PASSWORD_CHARS[0] <= len(password) <= PASSWORD_CHARS[1]:
        return Description.of("length_out_of_range", min=PASSWORD_CHARS[0], max=PASSWORD_CHARS[1])
    if any("\ud800" <= character <= "\udfff" for character in password):
        return Description.of("lone_surrogates")
    if _key(password) in {_key(part) for name in names for part in (name, name.partition("@")[0])}:
        return Description.of("password_is_name")
    if len(set(password)) == 1:
        return Description.of("one_repeated_character")
    return Description.of("common_password") if is_common(password) else None


def checked_password(password: str, *names: str, is_common: IsCommon, field: str = "new_password") -> str:
    """Return the password, or raise `InvalidRequest`."""
    if fault := password_fault(password, *names, is_common=is_common):
        raise InvalidRequest(FieldError(field, fault))
    return password


def _key(text: str) -> str:
    return normalized_password(text.strip()).casefold()


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """The right to set a new password once: the digest of its secret, and when it expires."""

    digest: str
    expires_at: datetime

    def opens_with(self, digest: str, now: datetime) -> bool:
        """Return True where this is the digest of the link's secret, and the link has not expired."""
        return hmac.compare_digest(self.digest.encode(), digest.encode()) and now < self.expires_at


class LinkParts(NamedTuple):
    """The two parts of the token in a link: the user, and the secret of which only a digest is stored."""

    user_id: UserId
    secret: str

    def text(self) -> str:
        """Return the token."""
        return f"{self.user_id}.{self.secret}"


def link_parts(token: str) -> LinkParts:
    """Return the parts of a token. Raises `InvalidRequest` for text that is no token."""
    user_id, _, secret = token.strip().rpartition(".")
    if not user_id or not secret or len(token) > MAX_LINK_CHARS or not token.isascii() or not token.isprintable():
        raise unknown_link()
    return LinkParts(UserId(user_id), secret)


def unknown_link() -> InvalidRequest:
    """Return the error for a link that does not exist, was used, was replaced, or has expired."""
    return InvalidRequest.of("token", "unknown_link")
