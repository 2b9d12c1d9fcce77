"""The leases of the processes that write replies."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.shared.ids import InstanceId


class InstanceRepository(Protocol):
    def renew(self, instance_id: InstanceId, renewals: int) -> None:
        """Keep how often the lease of a process was renewed."""
        ...

    def all(self) -> dict[InstanceId, int]:
        """Return how often the lease of each process was renewed."""
        ...

    def forget(self, instance_id: InstanceId) -> None:
        """Forget a process, if it is known."""
        ...
