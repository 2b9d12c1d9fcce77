"""Lists in views: their filters and pages are parameters of the address."""

from __future__ import annotations

from collections.abc import Mapping

from chatbill.application.ports.repositories.paging import Period
from chatbill.domain.reports.periods import moments_of
from chatbill.entrypoints.ui.shared.visits import Visit


def asked_of(visit: Visit, *names: str) -> dict[str, str]:
    """Return those of the named parameters of the address that are not blank, stripped."""
    return {name: value for name in names if (value := visit.asked(name).strip())}


def period_of(asked: Mapping[str, str], zone: str) -> Period:
    """Return the period from `from` to `to`: dates in this time zone, both included, or exact moments.

    Raises `InvalidRequest`.
    """
    start, end = moments_of(asked.get("from"), asked.get("to"), zone)
    return Period(start=start, end=end)
