"""Parameters of administration."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

Reason = Annotated[
    str | None, QueryParameter(description="1 to 500 characters; it stays in the audit trail.", name="reason")
]
