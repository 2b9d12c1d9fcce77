"""The figures of a usage report: counts, tokens, credits and times of interactions that have ended."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import ApiKeyId, InteractionId, ModelId, UserId

DIGITS: Final = 3
"""Times are counted to three digits, so percentiles differ from the exact ones by at most 0.5 percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedInteraction:
    """What a report counts of an interaction, which belongs to the period in which it ended."""

    id: InteractionId
    at: datetime
    user_id: UserId
    api_key_id: ApiKeyId | None
    model: ModelId
    outcome: Outcome
    prompt_tokens: int
    completion_tokens: int
    credits_charged: int
    latency_ms: int
    first_token_ms: int | None


@dataclass(slots=True)
class UsageFigures:
    """Sums over interactions. `latencies` and `first_tokens` count the times, in milliseconds to three digits."""

    outcomes: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    credits_charged: int = 0
    latencies: Counter[int] = field(default_factory=Counter)
    first_tokens: Counter[int] = field(default_factory=Counter)

    def add(self, ended: EndedInteraction) -> None:
        """Count one more interaction."""
        self.outcomes[ended.outcome.value] += 1
        self.prompt_tokens += ended.prompt_tokens
        self.completion_tokens += ended.completion_tokens
        self.credits_charged += ended.credits_charged
        self.latencies[to_digits(ended.latency_ms)] += 1
        if ended.first_token_ms is not None:
            self.first_tokens[to_digits(ended.first_token_ms)] += 1

    def merge(self, other: UsageFigures) -> None:
        """Add the figures of other interactions."""
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.credits_charged += other.credits_charged
        for mine, theirs in (
            (self.outcomes, other.outcomes),
            (self.latencies, other.latencies),
            (self.first_tokens, other.first_tokens),
        ):
            for key, count in theirs.items():
                mine[key] += count  # type: ignore[index]

    @property
    def requests(self) -> int:
        """Return the number of interactions."""
        return self.outcomes.total()

    def dumps(self) -> str:
        """Return the figures as text; equal figures have equal texts."""
        counts = [sorted(each.items()) for each in (self.outcomes, self.latencies, self.first_tokens)]
        return json.dumps([self.prompt_tokens, self.completion_tokens, self.credits_charged, *counts])

    def add_text(self, text: str) -> None:
        """Add the figures of a text. A report adds up very many, so no object is made for each."""
        prompt, completion, charged, outcomes, latencies, first_tokens = json.loads(text)
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.credits_charged += charged
        for mine, theirs in ((self.outcomes, outcomes), (self.latencies, latencies), (self.first_tokens, first_tokens)):
            for key, count in theirs:
                mine[key] = mine.get(key, 0) + count


def to_digits(milliseconds: int) -> int:
    """Return a time rounded to three digits, half up."""
    unit = int(10 ** max(0, len(str(milliseconds)) - DIGITS))
    return (milliseconds + unit // 2) // unit * unit


def percentile(counts: Counter[int], part: int) -> int | None:
    """Return the smallest time that at least `part` percent of all times do not exceed; None where there are none."""
    left = -(-part * counts.total() // 100)
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None
