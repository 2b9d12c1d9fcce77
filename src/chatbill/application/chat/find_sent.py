"""Find a message that was sent before, by its idempotency key."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSent:
    """Find a message of the principal, also while its reply is being written."""

    store: Store

    async def __call__(self, principal: Principal, key: str, fingerprint: str) -> Interaction | None:
        """Return the interaction; None if no message with this key was accepted.

        Raises `IdempotencyMismatch` if the key came with another message.
        """

        def query(snapshot: Snapshot) -> Interaction | None:
            record = snapshot.idempotency.get(principal.user_id, key)
            if record is None or record.subject_id is None:
                return None
            record.check(fingerprint)
            return snapshot.interactions.get(InteractionId(record.subject_id))

        return await self.store.read(query)
