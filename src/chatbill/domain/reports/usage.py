"""The figures of a usage report: counts, tokens, credits and times of interactions that have ended."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.reports.times import Times
from chatbill.domain.shared.ids import ApiKeyId, InteractionId, ModelId, UserId


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """What a report says of interactions, times in milliseconds. `took_ms` is the sum of their times.

    `latency_ms` are the percentiles 50, 95 and 99, and `first_token_ms` 50 and 95; None where there are no times.
    """

    outcomes: Counter[str]
    prompt_tokens: int
    completion_tokens: int
    credits_charged: int
    took_ms: int
    latency_ms: tuple[int | None, ...]
    first_token_ms: tuple[int | None, ...]

    @property
    def requests(self) -> int:
        """Return the number of interactions."""
        return self.outcomes.total()


@dataclass(slots=True)
class UsageFigures:
    """Sums over interactions. `took_ms` is the sum of their times."""

    outcomes: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    credits_charged: int = 0
    took_ms: int = 0
    latencies: Times = field(default_factory=Times)
    first_tokens: Times = field(default_factory=Times)

    def add(self, ended: EndedInteraction) -> None:
        """Count one more interaction."""
        self.outcomes[ended.outcome.value] += 1
        self.prompt_tokens += ended.prompt_tokens
        self.completion_tokens += ended.completion_tokens
        self.credits_charged += ended.credits_charged
        self.took_ms += ended.latency_ms
        self.latencies.add(ended.latency_ms)
        if ended.first_token_ms is not None:
            self.first_tokens.add(ended.first_token_ms)

    @property
    def requests(self) -> int:
        """Return the number of interactions."""
        return self.outcomes.total()

    def summary(self) -> UsageSummary:
        """Return what a report says of them, which needs far less memory."""
        return UsageSummary(
            outcomes=self.outcomes,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            credits_charged=self.credits_charged,
            took_ms=self.took_ms,
            latency_ms=self.latencies.percentiles(50, 95, 99),
            first_token_ms=self.first_tokens.percentiles(50, 95),
        )

    def dumps(self) -> str:
        """Return the figures as text; equal figures have equal texts."""
        sums = [self.prompt_tokens, self.completion_tokens, self.credits_charged, self.took_ms]
        times = [*self.latencies.dumps(), *self.first_tokens.dumps()]
        return json.dumps([*sums, dict(sorted(self.outcomes.items())), *times], separators=(",", ":"))

    def add_values(self, values: list[Any]) -> None:
        """Add the figures of a text, as JSON has read it. A report adds up very many: no object is made for each."""
        prompt, completion, charged, took_ms, outcomes, *times = values
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.credits_charged += charged
        self.took_ms += took_ms
        for outcome, count in outcomes.items():
            self.outcomes[outcome] += count
        self.latencies.add_dumped(*times[:3])
        self.first_tokens.add_dumped(*times[3:])
