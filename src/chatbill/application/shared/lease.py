"""The lease of this process: while it is renewed, other processes leave the work alone that this one has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

from chatbill.application.ports.clock import NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.shared.ids import InstanceId

RENEWED_EVERY_S = 2.0
MISSED = 5
"""So many times in a row must a lease be seen unchanged before its process counts as gone: about ten seconds.

This process counts what it saw itself. So clocks may differ, and while the database fails nothing is seen and no lease
ends. All processes of a database renew in the same rhythm, which is why it is not a setting.
"""


class Lease:
    """Renews the lease of this process at each call, and observes those of the others.

    `instance_id` is what this process writes into the holds of its work: None until the lease was renewed once, which
    an application that embeds the use cases need not do.
    """

    def __init__(self, store: Store, new_id: NewId) -> None:
        self._store = store
        self._id = InstanceId(new_id())
        self._renewals = 0
        self._seen: dict[InstanceId, tuple[int, int]] = {}
        self.instance_id: InstanceId | None = None

    async def __call__(self) -> int:
        """Renew; return how many processes were found gone by this call."""
        self._renewals += 1
        renewals = self._renewals

        def renew(tx: Transaction) -> dict[InstanceId, int]:
            tx.instances.renew(self._id, renewals)
            return tx.instances.all()

        try:
            async with asyncio.timeout(RENEWED_EVERY_S):
                stored = await self._store.write(renew)
        except BaseException:
            # Without a look at the others, none of them counts as gone.
            self._seen = {each: (count, 0) for each, (count, _) in self._seen.items()}
            raise
        before = self.gone
        self.instance_id = self._id
        self._seen = {each: self._observed(each, count) for each, count in stored.items() if each != self._id}
        return len(self.gone - before)

    @property
    def gone(self) -> AbstractSet[InstanceId]:
        """Return the processes whose leases are over, and whose work may not be finished."""
        return {each for each, (_, unchanged) in self._seen.items() if unchanged >= MISSED}

    def _observed(self, instance_id: InstanceId, renewals: int) -> tuple[int, int]:
        before, unchanged = self._seen.get(instance_id, (-1, 0))
        return renewals, unchanged + 1 if renewals == before else 0
