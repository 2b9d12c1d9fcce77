"""The payer of a request and its caps: a request counts for the month of its API key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.api_keys import KeyMonth, month_start
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ApiKeyId, WalletId


@dataclass(frozen=True, slots=True)
class KeyCap:
    """The cap of an API key: its requests count by their hold while they run, and in the end by their charge."""

    key_id: ApiKeyId

    def reserve(self, tx: Transaction, amount: int, *, at: datetime) -> KeyMonth:
        """Return the month of the key with `amount` credits counted, for the caller to save.

        Raises `CapReached`, and `Unauthenticated` where the key was revoked since it was authenticated.
        """
        key = tx.api_keys.lock(self.key_id)
        if key is None or not key.is_live(at):
            raise Unauthenticated("api_key_invalid")
        fresh = key.month_of(at)
        month = tx.api_keys.month(key.id, fresh.starts_at) or fresh
        month.reserve(amount)
        return month

    def give_back(self, tx: Transaction, amount: int, *, at: datetime) -> None:
        """Count `amount` credits less for the month of `at`, when the request was accepted."""
        if amount:
            tx.api_keys.give_back(self.key_id, month_start(at), amount)


@dataclass(frozen=True, slots=True)
class Payer:
    """The wallet that pays for a request, and the caps on its spending."""

    wallet_id: WalletId
    caps: tuple[KeyCap, ...] = ()

    @classmethod
    def of(cls, principal: Principal) -> Payer:
        """Return the payer for requests of this principal."""
        return cls(principal.wallet_id, caps_of(principal.api_key_id))


def caps_of(api_key_id: ApiKeyId | None) -> tuple[KeyCap, ...]:
    """Return the caps of a request that came with this API key, if with any."""
    return () if api_key_id is None else (KeyCap(api_key_id),)
