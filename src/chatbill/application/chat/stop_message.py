"""Stop a message: end its reply before it is complete."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.reply_signals import REQUESTS, stop_request
from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.signals import Signals
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMessage:
    """Stop a reply; its stream ends with `Stopped`. A reply that has ended stays as it is.

    A reply of this process is stopped at once. Another process gets a signal, which may be lost, and finds the request
    in the store (`ApplyStopRequests`). If that process is gone, the sweep ends the reply in its time.

    Raises `NotFound` for an interaction that does not exist or is another account's.
    """

    store: Store
    replies: Replies
    signals: Signals
    clock: Clock

    async def __call__(self, principal: Principal, interaction_id: InteractionId) -> None:
        """Ask the reply to stop and return at once."""
        interaction = await self.store.read(lambda snapshot: snapshot.interactions.get(interaction_id))
        if interaction is None or interaction.user_id != principal.user_id:
            raise NotFound("interaction")
        if self.replies.stop(interaction_id) or not interaction.is_running:
            return
        now = self.clock()
        await self.store.write(lambda tx: tx.interactions.ask_to_stop(interaction_id, at=now))
        await self.signals.send(REQUESTS, stop_request(interaction_id))
