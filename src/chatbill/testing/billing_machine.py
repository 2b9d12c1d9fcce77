"""A Hypothesis state machine that drives any store by charges, and compares it with plain arithmetic after each step.

class MyMachine(BillingMachine):
    def open_store(self) -> BillingStore:
        return MyStore()

TestMyStore = MyMachine.TestCase
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatbill.adapters.memory import MemoryStore
from chatbill.application.billing.charges import Charges
from chatbill.application.billing.postings import keep_hold
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits
from chatbill.domain.shared.ids import HoldId
from chatbill.testing.environment import CountingIds, ManualClock
from chatbill.testing.store_contract import PURSE, give, open_wallet

TTL_S = 60


@dataclass
class _Running:
    """A hold and when it is over, in seconds of the machine."""

    hold: Hold
    ends_at: float


class BillingMachine(RuleBasedStateMachine):
    """Grants, holds, captures, releases and time, on one wallet."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.new_id, self.now = ManualClock(), CountingIds(), 0.0
        self.store = self.open_store()
        self.charges = Charges(store=self.store, clock=self.clock, new_id=self.new_id)
        self.sweep = ExpireHolds(store=self.store, clock=self.clock, new_id=self.new_id)
        self.runner = asyncio.Runner()
        self.posted = 0
        self.running: list[_Running] = []

    def open_store(self) -> BillingStore:
        """Return an empty store; the one in memory unless this is overridden."""
        return MemoryStore()

    def teardown(self) -> None:
        """Close the event loop."""
        self.runner.close()

    @property
    def held(self) -> int:
        """Return the held credits by plain arithmetic."""
        return sum(each.hold.amount for each in self.running)

    @initialize(amount=st.integers(1, 50))
    def open(self, amount: int) -> None:
        """Open the wallet."""
        self.runner.run(self.store.write(lambda tx: open_wallet(tx, amount)))
        self.posted = amount

    @rule(amount=st.integers(1, 20))
    def grant(self, amount: int) -> None:
        """Add credits."""
        self.runner.run(self.store.write(lambda tx: give(tx, tx.wallets.lock(PURSE), amount)))
        self.posted += amount

    @rule(amount=st.integers(0, 30))
    def hold(self, amount: int) -> None:
        """Take a hold, or be refused where the wallet cannot pay."""

        def work(tx: BillingTransaction) -> Hold:
            wallet = tx.wallets.lock(PURSE)
            hold_id, at = HoldId(self.new_id()), self.clock()
            promise = wallet.hold(
                hold_id,
                amount,
                subject=Subject("thing", hold_id),
                purpose=Description.of("thing"),
                at=at,
                expires_at=at + timedelta(seconds=TTL_S),
            )
            return keep_hold(tx, promise)

        try:
            hold = self.runner.run(self.store.write(work))
        except InsufficientCredits as refusal:
            assert refusal.available == self.posted - self.held < amount
        else:
            self.running.append(_Running(hold, self.now + TTL_S))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 20), part=st.integers(0, 30))
    def settle(self, which: int, part: int) -> None:
        """Capture a part of a hold, or release it where that is 0."""
        hold = self.running.pop(which % len(self.running)).hold
        cost = min(part, hold.amount)
        self.runner.run(self.charges.settle(hold, cost))
        self.posted -= cost

    @rule(seconds=st.sampled_from([1, TTL_S - 1, TTL_S]))
    def wait_and_sweep(self, seconds: int) -> None:
        """Advance the clock, and release expired holds."""
        self.clock.advance(seconds)
        self.now += seconds
        left = [each for each in self.running if each.ends_at > self.now]
        released, self.running = len(self.running) - len(left), left
        assert self.runner.run(self.sweep()) == released

    @invariant()
    def the_wallet_is_what_arithmetic_says(self) -> None:
        """Compare the wallet with the arithmetic."""
        wallet = self.runner.run(self.store.write(lambda tx: tx.wallets.get(PURSE)))
        if wallet is not None:
            assert (wallet.posted, wallet.held) == (self.posted, self.held)
