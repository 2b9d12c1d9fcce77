"""The tables of reports. All of their rows are made from other rows, and can be made again."""

from __future__ import annotations

from sqlalchemy import Column, Index, Text

from chatbill.adapters.persistence.sql.columns import columns
from chatbill.adapters.persistence.sql.metadata import table
from chatbill.adapters.persistence.sql.types import Count, Id, UtcDateTime

report_notes = table(
    "report_notes",
    Column("kind", Text, primary_key=True),
    Column("id", Id, primary_key=True),
    *columns(Text, "body"),
    with_rowid=False,
)

report_movements = table(
    "report_movements",
    Column("wallet_id", Id, primary_key=True),
    Column("wallet_version", Count, primary_key=True, autoincrement=False),
    *columns(UtcDateTime, "at"),
    *columns(Text, "model", null=True),
    *columns(Text, "figures"),
    Index(None, "at"),
    with_rowid=False,
)

report_rollups = table(
    "report_rollups",
    Column("series", Text, primary_key=True),
    Column("starts_at", UtcDateTime, primary_key=True),
    Column("key", Text, primary_key=True),
    *columns(Text, "figures"),
    with_rowid=False,
)
