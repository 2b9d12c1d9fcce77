"""The rows of reports as the API, the exports and the command line show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

from chatbill.application.reports.usage_report import Report
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.reports.finance import FinancialRow
from chatbill.domain.reports.usage import UsageSummary
from chatbill.entrypoints.web.tables import Cell, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Interactions that ended in the period. Times are in milliseconds, null where there are none.

    Percentiles are those of all times by the nearest rank, rounded to three digits: at most 0.5 % off.
    """

    key: str | None
    name: str | None = None
    requests: int
    completed: int
    stopped: int
    failed: int
    timed_out: int
    interrupted: int
    prompt_tokens: int
    completion_tokens: int
    credits_charged: int
    latency_ms_p50: int | None
    latency_ms_p95: int | None
    latency_ms_p99: int | None
    first_token_ms_p50: int | None
    first_token_ms_p95: int | None

    @classmethod
    def of(cls, figures: UsageSummary, key: str | None = None, name: str | None = None) -> UsageRow:
        """Return the row of a key."""
        outcomes, (p50, p95, p99), (first_p50, first_p95) = figures.outcomes, figures.latency_ms, figures.first_token_ms
        return cls(
            key=key,
            name=name,
            requests=figures.requests,
            completed=outcomes[Outcome.COMPLETED.value],
            stopped=outcomes[Outcome.STOPPED.value],
            failed=outcomes[Outcome.FAILED.value],
            timed_out=outcomes[Outcome.TIMED_OUT.value],
            interrupted=outcomes[Outcome.INTERRUPTED.value],
            prompt_tokens=figures.prompt_tokens,
            completion_tokens=figures.completion_tokens,
            credits_charged=figures.credits_charged,
            latency_ms_p50=p50,
            latency_ms_p95=p95,
            latency_ms_p99=p99,
            first_token_ms_p50=first_p50,
            first_token_ms_p95=first_p95,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyRow:
    """Money of one currency: received in the period, less what was returned, and owed to people at its end."""

    currency: str
    received: Decimal
    owed: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditsRow:
    """The credits that people own, and what has changed them in the period.

    opening + sold + bonus + granted - charged - refunded + adjusted = closing, and paid_closing + free_closing =
    closing. `charged` is net of `given_back`, the credits that people got back for replies. `refunded` was taken with
    payments that were returned. `adjusted` is signed.
    """

    key: str | None
    name: str | None = None
    opening: int
    sold: int
    bonus: int
    granted: int
    charged: int
    given_back: int
    refunded: int
    adjusted: int
    closing: int
    paid_closing: int
    free_closing: int
    money: list[CurrencyRow]

    @classmethod
    def of(cls, row: FinancialRow, key: str | None = None, name: str | None = None) -> CreditsRow:
        """Return the row of a key."""
        return cls(
            key=key,
            name=name,
            opening=row.opening,
            sold=row.sold,
            bonus=row.bonus,
            granted=row.granted,
            charged=row.charged,
            given_back=row.given_back,
            refunded=row.refunded,
            adjusted=row.adjusted,
            closing=row.closing,
            paid_closing=row.paid_closing,
            free_closing=row.free_closing,
            money=[
                CurrencyRow(currency=each.currency, received=_money(each.received), owed=_money(each.owed))
                for each in row.money
            ],
        )


def usage_rows(report: Report[UsageSummary]) -> list[UsageRow]:
    """Return the rows of a usage report."""
    return [UsageRow.of(row.figures, row.key, row.name) for row in report.rows]


def credits_rows(report: Report[FinancialRow]) -> list[CreditsRow]:
    """Return the rows of a financial report."""
    return [CreditsRow.of(row.figures, row.key, row.name) for row in report.rows]


def usage_columns(rows: list[UsageRow]) -> list[Column[UsageRow]]:
    """Return the columns of a table of use; names only where some row has one."""
    counts = ("requests", *(outcome.value for outcome in Outcome if outcome is not Outcome.RUNNING))
    counts += ("prompt_tokens", "completion_tokens", "credits_charged")
    times = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "first_token_ms_p50", "first_token_ms_p95")
    return [
        *_keys(any(row.name for row in rows)),
        *(Column(name, attrgetter(name), is_summed=True) for name in counts),
        *(Column(name, attrgetter(name)) for name in times),
    ]


def credits_columns(rows: list[CreditsRow]) -> list[Column[CreditsRow]]:
    """Return the columns of a table of credits, with two for each currency of the rows."""
    flows = ("sold", "bonus", "granted", "charged", "given_back", "refunded", "adjusted")
    currencies = sorted({each.currency for row in rows for each in row.money})
    return [
        *_keys(any(row.name for row in rows)),
        Column("opening", attrgetter("opening")),
        *(Column(name, attrgetter(name), is_summed=True) for name in flows),
        *(Column(name, attrgetter(name)) for name in ("closing", "paid_closing", "free_closing")),
        *(
            Column(f"{name}_{currency}", _of_currency(currency, name))
            for currency in currencies
            for name in ("received", "owed")
        ),
    ]


def _keys(named: bool) -> list[Column[Any]]:  # noqa: FBT001 - one fact about the rows
    return [Column(name, attrgetter(name)) for name in (("key", "name") if named else ("key",))]


def _of_currency(currency: str, name: str) -> Callable[[CreditsRow], Cell]:
    def cell(row: CreditsRow) -> Decimal:
        found = (getattr(each, name) for each in row.money if each.currency == currency)
        return next(found, Decimal("0.00"))

    return cell


def _money(hundredths: int) -> Decimal:
    return Decimal(hundredths).scaleb(-2)
