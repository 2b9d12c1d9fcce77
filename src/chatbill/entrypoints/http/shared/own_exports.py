"""Exports of one's own rows: JSON or CSV, in one of the places for exports."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from chatbill.application.reports.export_places import ExportPlaces
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.web.exports import ExportFormat, FetchPage, FileStream, export
from chatbill.entrypoints.web.tables import Columns, T

FORMATS = (ExportFormat.JSON.value, ExportFormat.CSV.value)
PROBLEMS = ("invalid_request", "rate_limited", "overloaded")

OwnFormat = Annotated[
    str,
    QueryParameter(
        name="format",
        description="`json` or `csv`. In CSV, text that a spreadsheet might take for a formula has an apostrophe "
        "before it, as has text that begins with an apostrophe.",
        schema_extra={"enum": list(FORMATS)},
    ),
]


async def own_export(
    places: ExportPlaces, principal: Principal, name: str, form: str, columns: Columns[T], fetch: FetchPage[T]
) -> FileStream:
    """Return all pages as a file. Raises `InvalidRequest` for another format, and where there is no place."""
    if form not in FORMATS:
        raise InvalidRequest.of("format", "not_one_of", known=", ".join(FORMATS))
    places.take(principal.user_id)
    return await export(name, ExportFormat(form), columns, fetch, done=lambda: places.release(principal.user_id))
