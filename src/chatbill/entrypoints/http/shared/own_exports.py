"""The parameter and the errors of exports of one's own rows."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from chatbill.entrypoints.web.own_exports import FORMATS

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
