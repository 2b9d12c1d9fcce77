"""Users: their names, their roles, and the rules for both."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.accounts.look_alikes import is_staff_name, mixes_scripts
from chatbill.domain.accounts.passwords import IsCommon, PasswordLink, password_fault
from chatbill.domain.accounts.preferences import DEFAULT_ZONE, SpendingLimits
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.domain.shared.ids import UserId, WalletId

USERNAME_CHARS = (3, 32)
EMAIL_CHARS = (3, 254)
"""Shortest and longest, in characters. The longest e-mail address is that of RFC 5321, section 4.5.3.1.3."""

PUNYCODE = "xn--"
LABEL_CHARS = 63
"""The longest part of a host name (RFC 1035, section 2.3.4)."""


class UserRole(StrEnum):
    """The role of a user. `permissions.permissions_of` says what each may do beyond their own account."""

    USER = "user"
    VIEWER = "viewer"
    SUPPORT = "support"
    FINANCE = "finance"
    ADMIN = "admin"

    @property
    def is_staff(self) -> bool:
        """Return True for every role but that of an ordinary user."""
        return self is not UserRole.USER


class AccountState(StrEnum):
    """The states of an account. A suspended or erased one cannot sign in; an erased one stays erased."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ERASED = "erased"


NO_PASSWORD = ""
"""The stored hash of an account without a password: one that waits for its first link, or was erased."""


@dataclass(slots=True, kw_only=True)
class User:
    """A person with an account and a wallet. A disabled account cannot sign in, and its sessions are not accepted.

    `password_link` is the newest link with which the person may set a new password, until it is used. An erased account
    keeps its ids, so that the figures stay, and nothing that tells whose it was.

    `locale` is the language of the person (BCP 47), None for the client's; `time_zone` has an IANA name. `limit_day`
    and `limit_month` bound the credits that the person spends; below `low_balance` credits a notice is due.

    `email_link` is the newest link with which the person may verify the address; `welcome_due` says that the welcome
    credits come with that.
    """

    id: UserId
    username: str
    email: str
    password_hash: str
    role: UserRole
    wallet_id: WalletId
    created_at: datetime
    disabled_at: datetime | None = None
    password_link: PasswordLink | None = None
    erased_at: datetime | None = None
    locale: str | None = None
    time_zone: str = DEFAULT_ZONE
    limit_day: int | None = None
    limit_month: int | None = None
    low_balance: int | None = None
    email_verified_at: datetime | None = None
    email_link: PasswordLink | None = None
    welcome_due: bool = False

    @property
    def limits(self) -> SpendingLimits:
        """Return the limits that the person has set on their own spending."""
        return SpendingLimits(day=self.limit_day, month=self.limit_month, time_zone=self.time_zone)

    @property
    def username_key(self) -> str:
        """Return the form of the username that is unique."""
        return name_key(self.username)

    @property
    def email_key(self) -> str:
        """Return the form of the e-mail address that is unique."""
        return email_key(self.email)

    @property
    def is_enabled(self) -> bool:
        """Return True unless an administrator has disabled the account."""
        return self.disabled_at is None

    @property
    def state(self) -> AccountState:
        """Return the state of the account."""
        if self.erased_at is not None:
            return AccountState.ERASED
        return AccountState.ACTIVE if self.is_enabled else AccountState.SUSPENDED

    @property
    def known_hash(self) -> str | None:
        """Return the hash of the password; None where there is no password."""
        return self.password_hash or None

    def erase(self, *, at: datetime, mark: str) -> None:
        """Remove the names, the password and the role for good; a second time changes nothing.

        The new names contain what no other account can have: a colon, and `mark`, which must be unique and must not be
        known before.
        """
        if self.erased_at is None:
            self.username, self.email = f"erased:{self.id}", f"{mark}@erased.invalid"
            self.password_hash, self.password_link, self.role = NO_PASSWORD, None, UserRole.USER
            self.email_verified_at, self.email_link, self.welcome_due = None, None, False
            self.disabled_at, self.erased_at = self.disabled_at or at, at
            self.locale, self.time_zone = None, DEFAULT_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """A valid registration; only `checked_account` makes one."""

    username: str
    email: str


def name_key(name: str) -> str:
    """Return the form in which names are compared: the same for every letter case and every Unicode spelling."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def email_key(address: str) -> str:
    """Return the form in which e-mail addresses are compared: that of `name_key`, with the host in Unicode."""
    return _with_host(address, _decoded)


def login_keys(login: str) -> tuple[str, ...]:
    """Return the keys that a user with this username or address may have.

    Addresses that were stored before hosts were compared in Unicode have the host as it was typed.
    """
    return tuple(dict.fromkeys((name_key(login), email_key(login), _with_host(email_key(login), _encoded))))


def _with_host(address: str, convert: Callable[[str], str]) -> str:
    local, at, host = name_key(address).rpartition("@")
    if not at:
        return host
    # NFKC does not change the ideographic full stop, which separates labels too (RFC 3490, section 3.1).
    return local + at + ".".join(map(convert, host.replace("\u3002", ".").split(".")))


def _decoded(label: str) -> str:
    """Return a label of a host in Unicode, or unchanged if it is not in Punycode (RFC 3492)."""
    if not label.startswith(PUNYCODE) or len(label) > LABEL_CHARS:
        return label
    try:
        written = label.removeprefix(PUNYCODE).encode("ascii").decode("punycode")
        decoded = name_key(written)
        decoded.encode()
    except UnicodeError:
        return label
    # A label such as "straße" becomes one without other letters, which must not be decoded again.
    return label if written.isascii() or decoded.startswith(PUNYCODE) else decoded


def _encoded(label: str) -> str:
    """Return a label of a host in Punycode, or unchanged if it needs none or is longer than any label."""
    return label if label.isascii() or len(label) > LABEL_CHARS else PUNYCODE + label.encode("punycode").decode("ascii")


def checked_account(
    username: str, email: str, password: str | None, *, staff: bool = False, is_common: IsCommon = lambda _: False
) -> NewAccount:
    """Return the registration, normalized, or raise `InvalidRequest` with every invalid field.

    A password of None is set later, with a link. Only `staff` may have a name of staff.
    `is_common` says which passwords are too common.
    """
    username, email = _normalized(username), _normalized(email)
    _require_none(
        username=username_fault(username) or impersonation_fault(username, staff=staff),
        email=email_fault(email),
        password=None if password is None else password_fault(password, username, email, is_common=is_common),
    )
    return NewAccount(username=username, email=email)


def checked_names(user: User, username: str, email: str) -> tuple[str, str]:
    """Return new names of a user, normalized, or raise `InvalidRequest` with every invalid field.

    A username that stays the same, apart from its letter case, may look like another one.
    """
    username, email = _normalized(username), _normalized(email)
    fault = username_fault(username)
    if name_key(username) != user.username_key:
        fault = fault or impersonation_fault(username, staff=user.role.is_staff)
    _require_none(username=fault, email=email_fault(email))
    return username, email


def _normalized(name: str) -> str:
    return unicodedata.normalize("NFKC", name.strip())


def _require_none(**faults: Description | None) -> None:
    errors = [FieldError(field, fault) for field, fault in faults.items() if fault]
    if errors:
        raise InvalidRequest(*errors)


def username_fault(username: str) -> Description | None:
    """Return the rule that the username breaks: 3 to 32 letters, digits, dots, dashes and underscores."""
    if not USERNAME_CHARS[0] <= len(username) <= USERNAME_CHARS[1]:
        return Description.of("length_out_of_range", min=USERNAME_CHARS[0], max=USERNAME_CHARS[1])
    if not all(character.isalnum() or character in "._-" for character in username):
        return Description.of("invalid_username")
    return None


def impersonation_fault(username: str, *, staff: bool) -> Description | None:
    """Return the rule that a username breaks if it can be mistaken for another one or, unless `staff`, for staff."""
    if not staff and is_staff_name(name_key(username)):
        return Description.of("reserved_username")
    return Description.of("mixed_scripts") if mixes_scripts(username) else None


def email_fault(email: str) -> Description | None:
    """Return the rule that the address breaks. The check is coarse: only a delivered message proves an address."""
    local, at, host = email.rpartition("@")
    shaped = bool(local and at) and "@" not in local and "." in host.strip(".") and ".." not in host
    printable = email.isprintable() and not any(character.isspace() for character in email)
    if len(email) > EMAIL_CHARS[1] or not shaped or not printable or host.startswith(".") or host.endswith("."):
        return Description.of("invalid_email")
    return None
