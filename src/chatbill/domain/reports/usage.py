"""The figures of a usage report: counts, tokens, credits and times of interactions that have ended."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from operator import mul
from typing import Any, Final

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

    def summary(self) -> UsageSummary:
        """Return what a report says of them, which needs far less memory."""
        return UsageSummary(
            outcomes=self.outcomes,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            credits_charged=self.credits_charged,
            took_ms=sum(map(mul, self.latencies.keys(), self.latencies.values())),
            latency_ms=percentiles(self.latencies, 50, 95, 99),
            first_token_ms=percentiles(self.first_tokens, 50, 95),
        )

    def dumps(self) -> str:
        """Return the figures as text; equal figures have equal texts.

        Of a count, the values that occur once are a list, and the others a list of pairs: most occur once, and lists
        are added up several times faster than pairs.
        """
        counts: list[object] = []
        for each in (self.latencies, self.first_tokens):
            counts += [sorted(value for value, count in each.items() if count == 1)]
            counts += [sorted((value, count) for value, count in each.items() if count > 1)]
        sums = [self.prompt_tokens, self.completion_tokens, self.credits_charged]
        return json.dumps([*sums, sorted(self.outcomes.items()), *counts], separators=(",", ":"))

    def add_values(self, values: list[Any]) -> None:
        """Add the figures of a text, as JSON has read it. A report adds up very many: no object is made for each."""
        prompt, completion, charged, outcomes, times_once, times, first_once, first = values
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.credits_charged += charged
        self.latencies.update(times_once)
        self.first_tokens.update(first_once)
        for mine, theirs in ((self.outcomes, outcomes), (self.latencies, times), (self.first_tokens, first)):
            for key, count in theirs:
                mine[key] = mine.get(key, 0) + count


def to_digits(milliseconds: int) -> int:
    """Return a time rounded to three digits, half up."""
    unit = int(10 ** max(0, len(str(milliseconds)) - DIGITS))
    return (milliseconds + unit // 2) // unit * unit


def percentiles(counts: Counter[int], *parts: int) -> tuple[int | None, ...]:
    """Return for each part the smallest time that at least `part` percent of all times do not exceed, or None."""
    values = sorted(counts)
    if not values:
        return (None,) * len(parts)
    up_to = list(accumulate(counts[value] for value in values))
    return tuple(values[bisect_left(up_to, -(-part * up_to[-1] // 100))] for part in parts)
