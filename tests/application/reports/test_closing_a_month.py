"""The example on the page about finance: the report gives the figures of its table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from chatbill.adapters.memory import MemoryStore
from chatbill.application.ports.store import Store
from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.web.report_rows import CreditsRow, credits_rows
from chatbill.testing import ManualClock
from tests.kit.histories import Writer
from tests.kit.rows import add_person
from tests.kit.support import world

PAGE = Path(__file__).parents[3] / "docs" / "finance.md"
FEBRUARY = datetime(2026, 2, 3, 12, tzinfo=UTC)
DAY = 86_400


def table() -> dict[str, dict[str, str]]:
    """The rows of the table on the page, by their name."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    header = next(line for line in lines if "| opening | sold |" in line)
    names = [cell.strip() for cell in header.split("|")[2:-1]]
    rows = {}
    for line in lines[lines.index(header) + 1 :]:
        key, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
        rows[key] = dict(zip(names, cells, strict=True))
    return rows


def shown(row: CreditsRow) -> dict[str, str]:
    money = row.money[0] if row.money else None
    names = [name for name in table()["total"] if name not in {"received", "owed"}]
    figures = {name: str(getattr(row, name)) for name in names}
    none = Decimal("0.00")
    return figures | {"received": str(money.received if money else none), "owed": str(money.owed if money else none)}


async def lived() -> Store:
    store = MemoryStore()
    for name in ("alice", "bob"):
        await store.write(lambda tx, name=name: add_person(tx, name))  # type: ignore[misc]
    writer = Writer(store, FEBRUARY)
    reply = ("chat", "alice", "demo-pro", Outcome.COMPLETED, 85, False, 40)
    await writer.write([(0, ("buy", "alice", (550, 50, "19.99", "EUR"))), (DAY, reply), (DAY, reply)])
    await writer.write([(DAY, ("refund", 1, 5)), (0, ("grant", "bob", 50))])
    writer.paid.clear()
    await writer.write([(DAY, ("buy", "bob", (100, 0, "4.99", "EUR"))), (DAY, ("return", 0))])
    await writer.write([(DAY, ("adjust", "bob", -10))])
    return store


async def test_the_example_of_the_page_about_finance_is_what_the_report_says() -> None:
    here = world(store=await lived(), clock=ManualClock(FEBRUARY + timedelta(days=60)))
    period = ReportPeriod.of("2026-02-01", "2026-02-28", "Europe/Paris", now=here.clock())
    report = await here.use_cases.reports.financial.read(period, FinancialGroup.USER, named=True)
    found = {row.name: shown(row) for row in credits_rows(report)}
    assert {"Ada": found["alice"], "Bob": found["bob"], "total": shown(CreditsRow.of(report.total))} == table()
    by_month = await here.use_cases.reports.financial.read(period, FinancialGroup.MONTH, named=False)
    assert [shown(row) for row in credits_rows(by_month)] == [table()["total"]]
