"""Find turns: interactions of a person by their ids, with texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindTurns:
    """Find interactions of the principal whose conversations were not deleted. At most 100 are looked for."""

    store: Store

    async def __call__(self, principal: Principal, ids: Iterable[InteractionId]) -> dict[InteractionId, Interaction]:
        """Return those that exist; another account's are left out."""
        wanted = list(dict.fromkeys(ids))[:MAX_PAGE]

        def query(snapshot: Snapshot) -> dict[InteractionId, Interaction]:
            found = {}
            for each in wanted:
                turn = snapshot.interactions.get(each)
                if turn and turn.user_id == principal.user_id and snapshot.conversations.get(turn.conversation_id):
                    found[each] = turn
            return found

        return await self.store.read(query) if wanted else {}
