"""Verify the ledger: check that the accounting records are consistent, or name every difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from chatbill.application.audit.auditing import audit_store
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.reports.check import check_roll_ups
from chatbill.domain.audit.proof import Difference, Tally


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an audit: totals of the rows, and the number of differences."""

    tally: Tally
    differences: int

    @property
    def agrees(self) -> bool:
        """True when the ledger is consistent."""
        return self.differences == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyLedger:
    """Audit everything on one snapshot. `sweep_allowance_s` is how long a hold past its time may await the sweep."""

    store: Store
    clock: Clock
    sweep_allowance_s: float

    async def __call__(self, report: Callable[[Difference], None]) -> Verdict:
        """Run the audit; `report` gets each difference as it is found, on the thread that reads."""
        now = self.clock()
        overdue = now - timedelta(seconds=self.sweep_allowance_s)

        def query(snapshot: Snapshot) -> Verdict:
            tally, differences = Tally(), 0
            found = audit_store(snapshot.audit, now=overdue, tally=tally)
            for difference in chain(found, check_roll_ups(snapshot, now=now)):
                differences += 1
                report(difference)
            return Verdict(tally, differences)

        return await self.store.read(query)
