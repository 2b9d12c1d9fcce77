"""Filters and pages of the lists behind reports, from query parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar.params import QueryParameter

from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.reports.periods import moments_of
from chatbill.domain.shared.audit_trail import Facts
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import ModelId, UserId, WalletId
from chatbill.entrypoints.http.reports.parameters import ListFormat, ListFrom, ListTo, TimeZone
from chatbill.entrypoints.http.shared.parameters import Cursor, PageLimit, SearchText
from chatbill.entrypoints.web.exports import ExportFormat
from chatbill.entrypoints.web.parameters import checked_choice, checked_text, could_be_id

UserParameter = Annotated[str | None, QueryParameter(name="user", description="The id of a user.")]
ModelParameter = Annotated[
    str | None, QueryParameter(name="model", description="The id of a model, also of one that is gone.")
]
WalletParameter = Annotated[str | None, QueryParameter(name="wallet", description="The id of a wallet.")]
KindParameter = Annotated[
    str | None,
    QueryParameter(
        name="kind", description="The kind of an entry.", schema_extra={"enum": [each.value for each in EntryKind]}
    ),
]
OutcomeParameter = Annotated[
    str | None,
    QueryParameter(name="outcome", description="How it ended.", schema_extra={"enum": [o.value for o in Outcome]}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuery:
    """The entries that are asked for, and the same in words for the audit trail."""

    filters: LedgerFilter
    user_id: UserId | None
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQuery:
    """The requests that are asked for, and the same in words for the audit trail."""

    filters: InteractionFilter
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """The page that is asked for, or the format of a file with everything."""

    limit: int
    cursor: str | None
    form: ExportFormat | None


def provide_page(limit: PageLimit = DEFAULT_PAGE, cursor: Cursor = None, form: ListFormat = None) -> ListPage:
    """Return the page that is asked for."""
    return ListPage(limit=limit, cursor=cursor, form=checked_choice("format", form, ExportFormat))


def provide_entry_query(
    user: UserParameter = None,
    wallet: WalletParameter = None,
    kind: KindParameter = None,
    model: ModelParameter = None,
    start: ListFrom = None,
    end: ListTo = None,
    tz: TimeZone = None,
) -> EntryQuery:
    """Return the entries that are asked for."""
    filters = LedgerFilter(
        wallet_id=WalletId(_id("wallet", wallet)) if wallet is not None else None,
        kind=checked_choice("kind", kind, EntryKind),
        model=ModelId(_id("model", model)) if model is not None else None,
        period=_period(start, end, tz),
    )
    return EntryQuery(
        filters=filters,
        user_id=UserId(_id("user", user)) if user is not None else None,
        facts={"user": user, "wallet": wallet, "kind": kind, "model": model, "from": start, "to": end},
    )


def provide_request_query(
    user: UserParameter = None,
    model: ModelParameter = None,
    outcome: OutcomeParameter = None,
    start: ListFrom = None,
    end: ListTo = None,
    tz: TimeZone = None,
    text: SearchText = None,
) -> RequestQuery:
    """Return the requests that are asked for."""
    filters = InteractionFilter(
        user_id=UserId(_id("user", user)) if user is not None else None,
        model=ModelId(_id("model", model)) if model is not None else None,
        outcome=checked_choice("outcome", outcome, Outcome),
        period=_period(start, end, tz),
        text=checked_text("q", text),
    )
    return RequestQuery(
        filters=filters,
        facts={
            "user": user,
            "model": model,
            "outcome": outcome,
            "from": start,
            "to": end,
            "searched": filters.text is not None,
        },
    )


def _period(start: str | None, end: str | None, tz: str | None) -> Period:
    starts, ends = moments_of(start, end, tz)
    return Period(start=starts, end=ends)


def _id(field: str, text: str) -> str:
    if not could_be_id(text):
        raise InvalidRequest.of(field, "length_out_of_range", min=1, max=64)
    return text
