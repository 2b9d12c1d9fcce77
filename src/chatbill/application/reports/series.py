"""The series of roll-ups: how raw rows are summed by day and by quarter of an hour, for each key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from chatbill.application.ports.repositories.reports import ReportReader, RollUpRow
from chatbill.domain.reports.finance import CreditFigures
from chatbill.domain.reports.periods import DAY, QUARTER, next_month
from chatbill.domain.reports.usage import UsageFigures

DUE = "due"
"""Days whose roll-ups have to be made anew; their figures say since which event."""
USAGE, USAGE_BY_MODEL, USAGE_BY_USER, USAGE_BY_KEY = "usage", "usage.model", "usage.user", "usage.api_key"
CREDITS, CREDITS_BY_MODEL, CREDITS_BY_WALLET = "credits", "credits.model", "credits.wallet"
SERIES = (USAGE, USAGE_BY_MODEL, USAGE_BY_USER, USAGE_BY_KEY, CREDITS, CREDITS_BY_MODEL, CREDITS_BY_WALLET)
"""Each has a row a day for each key. `USAGE` and `CREDITS` have one key, and figures by the number of the quarter."""
MONTHLY = (USAGE_BY_MODEL, USAGE_BY_USER, USAGE_BY_KEY, CREDITS_BY_MODEL, CREDITS_BY_WALLET)
"""Series that are also summed by month (UTC), as `in_months` names them."""
DUE_MONTHS = "due.months"
"""Months that have to be summed anew, since when a day of theirs was."""


def summed(reader: ReportReader, day: datetime) -> Iterator[RollUpRow]:
    """Yield the roll-ups of a day (UTC) from its raw rows."""
    usage: dict[tuple[str, str], UsageFigures] = {}
    usage_of_quarters: dict[int, UsageFigures] = {}
    for ended in reader.ended(day, day + DAY):
        usage_of_quarters.setdefault((ended.at - day) // QUARTER, UsageFigures()).add(ended)
        for place in (
            (USAGE_BY_MODEL, by_model(ended.outcome.value, ended.model)),
            (USAGE_BY_USER, ended.user_id),
            (USAGE_BY_KEY, ended.api_key_id or ""),
        ):
            usage.setdefault(place, UsageFigures()).add(ended)
    credits_: dict[tuple[str, str], CreditFigures] = {}
    credits_of_quarters: dict[int, CreditFigures] = {}
    for movement in reader.movements(day, day + DAY):
        credits_of_quarters.setdefault((movement.at - day) // QUARTER, CreditFigures()).add(movement)
        for place in ((CREDITS_BY_MODEL, movement.model or ""), (CREDITS_BY_WALLET, movement.wallet_id)):
            credits_.setdefault(place, CreditFigures()).add(movement)
    for series, text in ((USAGE, _together(usage_of_quarters)), (CREDITS, _together(credits_of_quarters))):
        if text:
            yield RollUpRow(series, day, "", text)
    for sums in (usage, credits_):
        for (series, key), figures in sums.items():
            yield RollUpRow(series, day, key, figures.dumps())


def _together(quarters: Mapping[int, UsageFigures | CreditFigures]) -> str:
    """Return the figures of a day as text, by the number of the quarter of an hour; empty if there are none."""
    texts = [f'"{number}":{figures.dumps()}' for number, figures in sorted(quarters.items())]
    return f"{{{','.join(texts)}}}" if texts else ""


def in_months(series: str) -> str:
    """Return the name of the sums of a series by month."""
    return f"{series}.months"


def summed_month(reader: ReportReader, month: datetime) -> Iterator[RollUpRow]:
    """Yield the roll-ups of a month (UTC) from those of its days."""
    for series in MONTHLY:
        sums: dict[str, UsageFigures | CreditFigures] = {}
        for row in reader.rollups(series, month, next_month(month)):
            figures = sums.get(row.key)
            if figures is None:
                figures = sums[row.key] = UsageFigures() if series.startswith(USAGE) else CreditFigures()
            figures.add_values(json.loads(row.figures))
        for key, figures in sums.items():
            yield RollUpRow(in_months(series), month, key, figures.dumps())


def by_model(outcome: str, model: str) -> str:
    """Return the key of the series by outcome and model."""
    return f"{outcome} {model}"
