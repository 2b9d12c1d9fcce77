"""The leases of processes, in memory."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.domain.shared.ids import InstanceId


class MemoryInstances:
    """Processes, and how often each has renewed its lease."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def renew(self, instance_id: InstanceId, renewals: int) -> None:
        self._tables.instances.put(instance_id, renewals)

    def all(self) -> dict[InstanceId, int]:
        return {InstanceId(instance_id): renewals for instance_id, renewals in self._tables.instances.items()}

    def forget(self, instance_id: InstanceId) -> None:
        self._tables.instances.remove(instance_id)
