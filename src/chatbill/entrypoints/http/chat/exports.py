"""The rows of an exported history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
