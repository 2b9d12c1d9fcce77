"""The view of the history: messages of all conversations, their filters, whole texts on demand, and exports."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId
from chatbill.entrypoints.ui.chat.rendering import refund_text
from chatbill.entrypoints.ui.markdown import to_html
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.lists import asked_of, period_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shared.words import names_of_models, outcomes
from chatbill.entrypoints.web.own_exports import export_history
from chatbill.entrypoints.web.parameters import checked_choice, checked_model, checked_text, could_be_id

FILTERS: Final = ("q", "model", "outcome", "from", "to")
LINE_CHARS: Final = 160


def history_views(site: Site) -> None:
    """Add the view, its whole texts and its export."""
    history = History(site.use_cases)
    site.view("history", history.show)
    site.get("/web/history/export", history.export)
    site.get("/web/history/{id}", history.texts)


class History:
    """The history of a person."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def show(self, visit: Visit) -> Response:
        """Return a page of the list."""
        asked, models = asked_of(visit, *FILTERS, "cursor"), names_of_models(self._use_cases)
        page = await self._use_cases.chat.list_history(
            visit.principal, self._filter(visit, asked), cursor=asked.get("cursor")
        )
        back = await self._use_cases.billing.read_refunds(visit.principal, page.items)
        rows = [
            {
                "turn": turn,
                "line": line_of(turn),
                "model": models.get(turn.model, turn.model),
                "refund": refund_text(back[turn.id]) if turn.id in back else "",
            }
            for turn in page.items
        ]
        return visit.html(
            "history/view.html",
            rows=rows,
            models=models,
            outcomes=outcomes(),
            asked=asked,
            next_cursor=page.next_cursor,
        )

    async def texts(self, visit: Visit) -> Response:
        """Return message and reply of one row."""
        wanted = InteractionId(visit.path("id"))
        found = await self._use_cases.chat.find_turns(visit.principal, [wanted] if could_be_id(wanted) else [])
        if wanted not in found:
            raise NotFound("message")
        turn = found[wanted]
        return visit.html("history/texts.html", turn=turn, reply=Markup(to_html(turn.reply)))  # noqa: S704 - sanitized

    async def export(self, visit: Visit) -> Response:
        """Return a file with all that is selected."""
        wanted = self._filter(visit, asked_of(visit, *FILTERS))
        form = visit.asked("format", "json")
        return FileAnswer(await export_history(self._use_cases, visit.principal, form, wanted))

    def _filter(self, visit: Visit, asked: dict[str, str]) -> HistoryFilter:
        return HistoryFilter(
            model=checked_model(self._use_cases, asked.get("model")),
            outcome=checked_choice("outcome", asked.get("outcome"), Outcome),
            period=period_of(asked, visit.account.limits.time_zone),
            text=checked_text("q", asked.get("q")),
        )


def line_of(turn: Interaction) -> str:
    """Return the beginning of a message on one line; "" where the texts were erased."""
    line = " ".join(turn.prompt[: LINE_CHARS * 4].split())
    return line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]}…"
