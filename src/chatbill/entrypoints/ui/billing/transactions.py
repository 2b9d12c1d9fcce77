"""The transactions of a person: their list, its filters, and its export."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from chatbill.application.assembly import UseCases
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.subjects import INTERACTION
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.lists import asked_of, period_of
from chatbill.entrypoints.ui.shared.visits import Visit
from chatbill.entrypoints.ui.shared.words import description_text, kinds, names_of_models
from chatbill.entrypoints.web.own_exports import export_transactions
from chatbill.entrypoints.web.parameters import checked_choice

FILTERS: Final = ("kind", "from", "to")


class Transactions:
    """The transactions in the view of credits."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def read(self, visit: Visit) -> dict[str, Any]:
        """Return the values of the open page of the list."""
        asked = asked_of(visit, *FILTERS, "cursor")
        page = await self._use_cases.billing.list_transactions(
            visit.principal, **_filters(visit, asked), cursor=asked.get("cursor")
        )
        turns = await self._use_cases.chat.find_turns(visit.principal, filter(None, map(_interaction, page.items)))
        names = names_of_models(self._use_cases)
        rows = [_row(entry, turns, names) for entry in page.items]
        return {"rows": rows, "next_cursor": page.next_cursor, "asked": asked, "kinds": kinds()}

    async def show(self, visit: Visit) -> Response:
        """Return the list alone."""
        return visit.html("credits/transactions.html", **await self.read(visit))

    async def export(self, visit: Visit) -> Response:
        """Return a file with all that is selected."""
        filters = _filters(visit, asked_of(visit, *FILTERS))
        return FileAnswer(
            await export_transactions(self._use_cases, visit.principal, visit.asked("format", "json"), **filters)
        )


def _filters(visit: Visit, asked: dict[str, str]) -> dict[str, Any]:
    period = period_of(asked, visit.account.limits.time_zone)
    return {"kind": checked_choice("kind", asked.get("kind"), EntryKind), "period": period}


def _interaction(entry: LedgerEntry) -> InteractionId | None:
    subject = entry.cause.subject
    return InteractionId(subject.id) if subject and subject.kind == INTERACTION else None


def _row(entry: LedgerEntry, turns: dict[InteractionId, Interaction], names: dict[str, str]) -> dict[str, Any]:
    """Return an entry and its description. What belongs to a message names its model, and leads to it if it is kept."""
    interaction_id = _interaction(entry)
    turn = turns.get(interaction_id) if interaction_id else None
    return {"entry": entry, "text": description_text(entry.cause.description, names), "turn": turn}
