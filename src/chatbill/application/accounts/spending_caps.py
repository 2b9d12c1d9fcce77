"""The payer of a request and its caps: a request counts for the month of its API key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.ports.repositories.ledger import LedgerReader
from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.api_keys import KeyMonth, month_start
from chatbill.domain.accounts.preferences import NO_LIMITS, SpendingLimitReached, SpendingLimits
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ApiKeyId, WalletId

_PAGE = 200


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
    limits: SpendingLimits = NO_LIMITS

    @classmethod
    def of(cls, principal: Principal) -> Payer:
        """Return the payer for requests of this principal."""
        return cls(principal.wallet_id, caps_of(principal.api_key_id), principal.limits)

    def check_limits(self, tx: Transaction, wallet: Wallet, amount: int, *, at: datetime) -> None:
        """Raise `SpendingLimitReached` where `amount` more credits would pass a limit that the person has set.

        The wallet must be locked, so that no other request is counted meanwhile.
        """
        for period, limit, start in self.limits.periods(at):
            left = limit - wallet.held - spent_since(tx.ledger, wallet.id, start)
            if amount > left:
                raise SpendingLimitReached(required=amount, available=max(0, left), limit=limit, period=period)


def spent_since(ledger: LedgerReader, wallet_id: WalletId, start: datetime) -> int:
    """Return the charges less the refunds of a wallet since then. Reads its latest entries alone."""
    spent, below = 0, None
    while page := ledger.of_wallet(wallet_id, below_version=below, limit=_PAGE):
        for entry in page:
            if entry.created_at < start:
                return spent
            if entry.kind in {EntryKind.CHARGE, EntryKind.REFUND}:
                spent -= entry.signed_amount
        below = page[-1].wallet_version
    return spent


def caps_of(api_key_id: ApiKeyId | None) -> tuple[KeyCap, ...]:
    """Return the caps of a request that came with this API key, if with any."""
    return () if api_key_id is None else (KeyCap(api_key_id),)
