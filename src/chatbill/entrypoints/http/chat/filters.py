"""Filters of the history, from query parameters."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.di import Provide
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.domain.chat.interactions import Outcome
from chatbill.entrypoints.http.shared.parameters import From, Injected, SearchText, To, checked_period
from chatbill.entrypoints.web.parameters import checked_choice, checked_model, checked_text


def provide_history_filter(
    use_cases: Injected[UseCases],
    model: Annotated[str | None, QueryParameter(description="The id of a model.")] = None,
    outcome: Annotated[
        str | None,
        QueryParameter(description="How the reply ended.", schema_extra={"enum": [each.value for each in Outcome]}),
    ] = None,
    start: From = None,
    end: To = None,
    text: SearchText = None,
) -> HistoryFilter:
    """Return the filter that is asked for. Raises `InvalidRequest`."""
    return HistoryFilter(
        model=checked_model(use_cases, model),
        outcome=checked_choice("outcome", outcome, Outcome),
        period=checked_period(start, end),
        text=checked_text("q", text),
    )


FILTERS: Final = {"filters": Provide(provide_history_filter, sync_to_thread=False)}
