"""`chatbill report`: use and money over a period, for operators, and the roll-ups behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import click

from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.container import Container
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.cli.wiring import run, settings_from
from chatbill.entrypoints.web.report_rows import (
    CreditsRow,
    UsageRow,
    credits_columns,
    credits_rows,
    usage_columns,
    usage_rows,
)
from chatbill.entrypoints.web.tables import Columns, plain

T = TypeVar("T")


def _period_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--tz", metavar="ZONE", help="The time zone of dates, such as Europe/Paris. By default, UTC."),
        click.option("--to", "end", metavar="WHEN", help="The last day, or a moment. By default, today."),
        click.option(
            "--from", "start", metavar="WHEN", help="The first day, or a moment. By default, 29 days before the last."
        ),
    ):
        command = option(command)
    return command


def _group_option(*groups: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--by", "group_by", type=click.Choice(groups), default=groups[0], show_default=True, help="What a row is."
    )


@click.group()
def report() -> None:
    """Report use and money over a period, for operators."""


@report.command()
@_group_option(*(each.value for each in UsageGroup))
@_period_options
def usage(*, group_by: str, start: str | None, end: str | None, tz: str | None, as_json: bool) -> None:
    """Print requests, tokens, credits, and times in milliseconds."""

    async def work(container: Container) -> tuple[list[UsageRow], UsageRow]:
        reports = container.use_cases().reports
        period = ReportPeriod.of(start, end, tz, now=reports.clock())
        found = await reports.usage.read(period, UsageGroup(group_by), named=True)
        return usage_rows(found), UsageRow.of(found.total)

    rows, total = run(settings_from(), work, upgrade=False)
    _print(group_by, rows, total, usage_columns(rows), as_json=as_json)


@report.command()
@_group_option(*(each.value for each in FinancialGroup))
@_period_options
def financial(*, group_by: str, start: str | None, end: str | None, tz: str | None, as_json: bool) -> None:
    """Print what people own, what has changed it, and the money behind it."""

    async def work(container: Container) -> tuple[list[CreditsRow], CreditsRow]:
        reports = container.use_cases().reports
        period = ReportPeriod.of(start, end, tz, now=reports.clock())
        found = await reports.financial.read(period, FinancialGroup(group_by), named=True)
        return credits_rows(found), CreditsRow.of(found.total)

    rows, total = run(settings_from(), work, upgrade=False)
    _print(group_by, rows, total, credits_columns([*rows, total]), as_json=as_json)


@report.command()
def rebuild() -> None:
    """Make the roll-ups that reports read anew, from the raw rows."""
    days = run(settings_from(), lambda container: container.use_cases().reports.roll_up.rebuild(), upgrade=False)
    click.echo(f"Days that were rolled up: {days}.")


def _print(group_by: str, rows: list[T], total: T, columns: Columns[T], *, as_json: bool) -> None:
    if as_json:
        found = {"group_by": group_by, "rows": [_facts(row) for row in rows], "total": _facts(total)}
        click.echo(json.dumps(found, default=plain))
        return
    lines = [[column.name for column in columns], *(_cells(columns, row) for row in rows)]
    lines.append(["total", *_cells(columns, total)[1:]])
    _print_table(lines)


def _facts(row: Any) -> dict[str, Any]:
    return asdict(row)


def _cells(columns: Columns[T], row: T) -> list[str]:
    return ["-" if (cell := column.cell(row)) is None else _shown(cell) for column in columns]


def _shown(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose other columns are figures."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        cells[0] = line[0].ljust(widths[0])
        click.secho("  ".join(cells).rstrip(), bold=number in {0, len(lines) - 1})
