"""Release the holds of processes that are gone, long before the time of the holds is over."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.maintenance.expire_holds import BATCH, ExpireHolds
from chatbill.application.ports.store import Store
from chatbill.application.shared.lease import Lease
from chatbill.domain.shared.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAbandoned:
    """Release the holds of processes whose lease is over, end their replies, and forget these processes.

    Nothing is charged. A process that was only suspended finds its holds settled when it goes on, and charges nothing.
    Safe to run in any number of processes.
    """

    store: Store
    lease: Lease
    expire_holds: ExpireHolds

    async def __call__(self) -> int:
        """Return how many holds were released."""
        return sum([await self._release_of(instance_id) for instance_id in self.lease.gone])

    async def _release_of(self, instance_id: InstanceId) -> int:
        """Release batch by batch, as long as the process does not come back."""
        released = 0
        while holds := await self.store.read(lambda snapshot: snapshot.holds.of_instance(instance_id, BATCH)):
            now = sum([await self.expire_holds.release(hold) for hold in holds])
            released += now
            if not now:
                # What cannot be released stays pending until its time is over.
                return released
            if instance_id not in self.lease.gone:
                return released
        await self.store.write(lambda tx: tx.instances.forget(instance_id))
        return released
