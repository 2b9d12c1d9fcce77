"""The rows of an exported history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from chatbill.domain.chat.interactions import Interaction
from chatbill.entrypoints.web.tables import Column

_AS_THEY_ARE = ("id", "conversation_id", "created_at", "model", "prompt", "reply", "credits_charged")

HISTORY_COLUMNS: list[Column[Interaction]] = [
    *(Column(name, attrgetter(name)) for name in _AS_THEY_ARE),
    Column("outcome", lambda row: row.outcome.value),
    Column("prompt_tokens", lambda row: row.usage.prompt_tokens),
    Column("completion_tokens", lambda row: row.usage.completion_tokens),
    Column("processing_time_ms", lambda row: row.processing_time_ms),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A message and its reply."""

    id: str
    conversation_id: str
    created_at: datetime
    model: str
    prompt: str
    reply: str
    credits_charged: int
    outcome: str
    prompt_tokens: int
    completion_tokens: int
    processing_time_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryExportView:
    """All interactions, newest first."""

    items: list[HistoryRow]
