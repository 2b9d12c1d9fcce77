"""The types of handler arguments: injected dependencies, and parameters with their descriptions and checks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, QueryParameter, SkipValidation

from chatbill.application.ports.repositories.paging import Period
from chatbill.domain.shared.errors import InvalidRequest

T = TypeVar("T")

# Otherwise the framework validates injected objects field by field on every request.
Injected: TypeAlias = NamedDependency[SkipValidation[T]]

COMPLETION_ID_PREFIX: Final = "chatcmpl-"
"""Comes before the id of an interaction in `/v1`."""

# In a query, "+" stands for a blank; a client that does not write %2B still means the offset.
LOST_PLUS: Final = re.compile(r"(?<=T)([\d:.]+) (\d\d:?\d\d)$")

_MOMENT_WORDS = "RFC 3339, as in `2026-01-31T12:00:00Z`. Without an offset it is UTC; a date alone is its midnight."

Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]
PageLimit = Annotated[
    int,
    QueryParameter(
        description="Items in a page; fewer come if they are long.", schema_extra={"minimum": 1, "maximum": 100}
    ),
]
From = Annotated[
    str | None,
    QueryParameter(
        name="from",
        description=f"The earliest moment, included. {_MOMENT_WORDS}",
        schema_extra={"format": "date-time"},
        examples=[Example(value="2026-01-31T12:00:00Z")],
    ),
]
To = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description=f"The moment to stop before. {_MOMENT_WORDS}",
        schema_extra={"format": "date-time"},
        examples=[Example(value="2026-02-28T12:00:00Z")],
    ),
]
SearchText = Annotated[str | None, QueryParameter(name="q", description="Words to find in prompt or reply.")]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="1 to 255 printable ASCII characters. The same request with the same key has one effect and one "
        "answer, however often it is sent.",
    ),
]


def checked_period(start: str | None, end: str | None) -> Period:
    """Return the period between two moments. Raises `InvalidRequest` for an invalid moment."""
    return Period(start=checked_moment("from", start), end=checked_moment("to", end))


def checked_moment(field: str, text: str | None) -> datetime | None:
    """Return the moment in UTC; None stays None. Raises `InvalidRequest` for an invalid moment."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(LOST_PLUS.sub(r"\1+\2", text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest.of(field, "not_a_time") from error
