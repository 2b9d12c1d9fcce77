"""Update the account: its names, and what a person sets for themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from chatbill.application.accounts.find_user import refuse_taken_email, refuse_taken_username
from chatbill.application.accounts.letters import QueueLetter, queue
from chatbill.application.accounts.open_account import Account
from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.mail import LetterKind
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.preferences import limit_fault, locale_fault, zone_fault
from chatbill.domain.accounts.users import User, checked_names
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import FieldError, Forbidden, InvalidRequest, NotFound


class Keep(Enum):
    """Stands for a value that stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
_OPTIONAL: Final = ("locale", "limit_day", "limit_month", "low_balance")
_RECORDED: Final = ("username", "email", "time_zone", *_OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """The new values of an account; None leaves a name or the time zone unchanged, `KEEP` the other values.

    `password` is that of the person. Another e-mail address needs it if the sign-in is not recent. The limits and
    `low_balance` are in credits; None removes them.
    """

    username: str | None = None
    email: str | None = None
    password: str | None = field(default=None, repr=False)
    time_zone: str | None = None
    locale: str | Keep | None = KEEP
    limit_day: int | Keep | None = KEEP
    limit_month: int | Keep | None = KEEP
    low_balance: int | Keep | None = KEEP

    def of(self, user: User) -> User:
        """Return the user with the new values. Raises `InvalidRequest` with every invalid field."""
        username, email = checked_names(
            user,
            user.username if self.username is None else self.username,
            user.email if self.email is None else self.email,
        )
        return replace(user, username=username, email=email, **self._preferences(user))

    def _preferences(self, user: User) -> dict[str, Any]:
        """Return the new preferences. Raises `InvalidRequest` with every invalid field."""
        values: dict[str, Any] = {
            name: getattr(user, name) if (value := getattr(self, name)) is KEEP else value for name in _OPTIONAL
        }
        values["time_zone"] = user.time_zone if self.time_zone is None else self.time_zone
        faults = {
            "time_zone": zone_fault(values["time_zone"]),
            "locale": locale_fault(values["locale"]) if values["locale"] is not None else None,
            "spending_limit.day": limit_fault(values["limit_day"]),
            "spending_limit.month": limit_fault(values["limit_month"]),
            "low_balance": limit_fault(values["low_balance"]),
        }
        if errors := [FieldError(name, fault) for name, fault in faults.items() if fault]:
            raise InvalidRequest(*errors)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount:
    """Change the names and the preferences of an account.

    Raises `InvalidRequest` with every invalid field, `UsernameTaken`, `EmailTaken`, `NotFound`, `RateLimited`,
    `Forbidden` for an API key and for an account that was closed meanwhile, and what `OwnPassword.unless_recent`
    raises: with another e-mail address, a thief could keep the account.
    """

    store: Store
    own_password: OwnPassword
    queue_letter: QueueLetter
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    limit: Limit

    async def __call__(self, principal: Principal, change: AccountChange) -> Account:
        """Return the account as it is after the change."""
        require_sign_in(principal)
        # Each change leaves a record that is kept for ever.
        await self.rate_limits.hit(self.limit, principal.user_id)
        before = await self.store.read(lambda snapshot: snapshot.users.get(principal.user_id))
        if before and change.of(before).email_key != before.email_key:
            await self.own_password.unless_recent(principal, change.password)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)
        letter = self.queue_letter.job(LetterKind.VERIFICATION, principal.user_id)

        def work(tx: Transaction) -> Account:
            user, wallet = tx.users.lock(principal.user_id), tx.wallets.get(principal.wallet_id)
            if user is None or wallet is None:
                raise NotFound("account")
            if not user.is_enabled:
                raise Forbidden("account_disabled")
            changed = change.of(user)
            if changed.username_key != user.username_key:
                refuse_taken_username(tx.users, changed.username)
            if changed.email_key != user.email_key:
                refuse_taken_email(tx.users, changed.email)
                changed.email_verified_at = changed.email_link = None
                queue(tx, letter)
            if changed != user:
                tx.users.save(changed)
                # The values are no business of a record that outlives the account.
                fields = [name for name in _RECORDED if getattr(changed, name) != getattr(user, name)]
                act.record(tx, AuditAction.ACCOUNT_UPDATED, (USER, user.id), after={"fields": " ".join(fields)})
            return Account.of(changed, wallet)

        return await self.store.write(work)
