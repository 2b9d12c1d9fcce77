"""Update the account: another username, another e-mail address."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatbill.application.accounts.find_user import refuse_taken_email, refuse_taken_username
from chatbill.application.accounts.register import Account
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.users import checked_names
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """The new values of an account; None leaves a value unchanged."""

    username: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount:
    """Change the username or the e-mail address of an account.

    Raises `InvalidRequest` with every invalid field, `UsernameTaken`, `EmailTaken`, `NotFound`, and `Forbidden` for an
    API key.
    """

    store: Store

    async def __call__(self, principal: Principal, change: AccountChange) -> Account:
        """Return the account as it is after the change."""
        require_sign_in(principal)

        def work(tx: Transaction) -> Account:
            user, wallet = tx.users.lock(principal.user_id), tx.wallets.get(principal.wallet_id)
            if user is None or wallet is None:
                raise NotFound("account")
            username, email = checked_names(
                user,
                user.username if change.username is None else change.username,
                user.email if change.email is None else change.email,
            )
            changed = replace(user, username=username, email=email)
            if changed.username_key != user.username_key:
                refuse_taken_username(tx.users, username)
            if changed.email_key != user.email_key:
                refuse_taken_email(tx.users, email)
            if changed != user:
                tx.users.save(changed)
            return Account.of(changed, wallet)

        return await self.store.write(work)
