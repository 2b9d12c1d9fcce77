"""List the history: the interactions of a user, the newest first, with filters."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    MAX_PAGE_BYTES,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction

NO_FILTER = HistoryFilter()


def position_of(interaction: Interaction) -> str:
    """Return the cursor of what comes after an interaction."""
    return encode_position(interaction.created_at, interaction.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHistory:
    """List the principal's interactions in pages. Raises `InvalidRequest` for a bad limit or cursor."""

    store: Store

    async def __call__(
        self,
        principal: Principal,
        filters: HistoryFilter = NO_FILTER,
        *,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> Page[Interaction]:
        """Return one page of interactions."""
        limit, after = checked_limit(limit), decode_position(cursor)
        rows = await self.store.read(
            lambda snapshot: snapshot.interactions.history(
                principal.user_id, filters, after=after, limit=limit + 1, max_bytes=MAX_PAGE_BYTES
            )
        )
        return page_of(rows, limit, position_of, Interaction.text_bytes)
