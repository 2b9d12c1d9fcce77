"""Charges: pay for any work by a hold that is captured when the work succeeds and released when it does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from chatbill.application.billing.postings import keep_hold, settle_hold
from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.subjects import RESERVED, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import AlreadySettled, InvalidRequest
from chatbill.domain.shared.ids import EntryId, HoldId, WalletId

SETTLE_ATTEMPTS = 8
"""With pauses of a tenth of a second, then twice as long each time, this outlasts a restart of the database."""


_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Charge:
    """A hold while its work runs. Set `cost` to the credits due, from 0 to the hold's amount (the default).

    `entry` is the charge once the block has ended, and None where nothing was due.
    """

    hold: Hold
    cost: int = field(init=False)
    entry: LedgerEntry | None = None

    def __post_init__(self) -> None:
        self.cost = self.hold.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """Hold credits for work, and settle the hold once."""

    store: BillingStore
    clock: Clock
    new_id: NewId
    settle_attempts: int = SETTLE_ATTEMPTS

    @asynccontextmanager
    async def hold(
        self, wallet_id: WalletId, most: int, purpose: Description, subject: Subject, ttl_s: float
    ) -> AsyncIterator[Charge]:
        """Hold `most` credits for at most `ttl_s` seconds while the block runs; then capture `Charge.cost`.

        `most` is 0 or more credits, `ttl_s` at most 90,000, and the subject of a kind of the application's own. A block
        that raises, or is cancelled, costs nothing. A process that ends within it leaves the hold to the
        sweep. Raises `InsufficientCredits`, `NotFound` for the wallet, `AlreadySettled` where the work took longer than
        `ttl_s` and the sweep came first, and `StoreUnavailable`.
        """
        if subject.kind in RESERVED:
            raise InvalidRequest.of("subject", "reserved_kind", kind=subject.kind)
        charge = Charge(await self._accepted(wallet_id, most, purpose, subject, ttl_s))
        try:
            yield charge
        except BaseException:
            await self._release(charge.hold)
            raise
        if type(charge.cost) is not int or not 0 <= charge.cost <= most:
            await self._release(charge.hold)
            raise InvalidRequest.of("cost", "out_of_range", min=0, max=most)
        charge.entry = await asyncio.shield(self.settle(charge.hold, charge.cost))

    async def _accepted(
        self, wallet_id: WalletId, most: int, purpose: Description, subject: Subject, ttl_s: float
    ) -> Hold:
        """Take the hold. A caller that is cancelled meanwhile leaves none behind."""
        now, hold_id = self.clock(), HoldId(self.new_id())

        def accept(tx: BillingTransaction) -> Hold:
            wallet, expires_at = tx.wallets.lock(wallet_id), now + timedelta(seconds=ttl_s)
            return keep_hold(
                tx, wallet.hold(hold_id, most, subject=subject, purpose=purpose, at=now, expires_at=expires_at)
            )

        accepting = asyncio.ensure_future(self.store.write(accept))
        try:
            return await asyncio.shield(accepting)
        except asyncio.CancelledError:
            await asyncio.wait({accepting})
            if not accepting.cancelled() and accepting.exception() is None:
                await self._release(accepting.result())
            raise

    async def _release(self, hold: Hold) -> None:
        """Release a hold on the way out of an error, which an error of the release must not replace."""
        try:
            await asyncio.shield(self.settle(hold, 0))
        except (AlreadySettled, StoreUnavailable):
            # The sweep will release it.
            _log.warning("hold_not_released", exc_info=True, extra={"hold_id": hold.id})

    async def settle(self, hold: Hold, cost: int) -> LedgerEntry | None:
        """Capture `cost` credits of a pending hold, or release it where that is 0; return the charge.

        While the store fails it is tried again, and what an attempt kept whose answer was lost is not done twice.
        Raises `AlreadySettled` where another caller has settled the hold, such as the sweep.
        """
        now, entry_id = self.clock(), EntryId(self.new_id())
        tried: LedgerEntry | None = None
        attempts = 0

        def work(tx: BillingTransaction) -> LedgerEntry | None:
            nonlocal tried, attempts
            attempts += 1
            wallet, stored = tx.wallets.lock(hold.wallet_id), tx.holds.get(hold.id)
            if stored is None or not stored.is_pending:
                is_own = stored and attempts > 1 and (stored.settled_at, stored.captured) == (now, cost)
                if not is_own:
                    raise AlreadySettled(f"hold {hold.id} is not pending")
                return tried
            tried = settle_hold(tx, wallet, hold, cost, entry_id=entry_id, at=now)
            return tried

        for attempt in range(1, max(1, self.settle_attempts) + 1):
            try:
                return await self.store.write(work)
            except StoreUnavailable:
                if attempt >= self.settle_attempts:
                    raise
            await asyncio.sleep(0.05 * 2**attempt)
        return None
