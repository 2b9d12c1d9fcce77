"""Every figure of the reports equals one computed from raw rows, on every store, however much of it is rolled up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbill.application.ports.store import Store, StoreUnavailable
from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.reports.periods import Bucket, ReportPeriod, zone_of
from chatbill.domain.shared.errors import Forbidden
from chatbill.entrypoints.web.report_rows import CreditsRow, UsageRow, credits_rows, usage_rows
from chatbill.testing import ManualClock
from tests.kit.billing import FailingStore
from tests.kit.histories import AUTUMN, PACKAGES, SPRING, Act, Raw, Writer, busy_history, histories, raw_rows
from tests.kit.raw_reports import credits_of, moved, usage_of
from tests.kit.stores import STORES
from tests.kit.support import World, world

ZONES = ("UTC", "Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe")
STORE_NAMES = ("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
CHOICES = st.fixed_dictionaries(
    {
        "begins": st.sampled_from((SPRING, AUTUMN)),
        "first": histories,
        "then": histories,
        "zone": st.sampled_from(ZONES),
        # Whole days, and moments that cut quarters of an hour and replies.
        "start": st.sampled_from([timedelta(hours=-30), timedelta(minutes=7), timedelta(hours=4), timedelta(days=3)]),
        "length": st.sampled_from([timedelta(seconds=40), timedelta(hours=30), timedelta(days=9, minutes=1)]),
        "whole_days": st.booleans(),
        "rolled_up": st.booleans(),
    }
)


def examples(name: str) -> int:
    return 40 if name == "memory" else 10


@pytest.mark.parametrize("name", STORE_NAMES)
@pytest.mark.timeout(300)
def test_every_figure_is_the_one_of_the_raw_rows(name: str) -> None:
    @settings(max_examples=examples(name), deadline=None)
    @given(CHOICES)
    def check(choices: dict[str, object]) -> None:
        async def compare(store: Store) -> None:
            here, raw, period = await lived(store, **choices)  # type: ignore[arg-type]
            await compare_usage(here, raw, period)
            await compare_credits(here, raw, period)

        on_a_store(name, compare)

    check()


@pytest.mark.parametrize("zone", ZONES)
async def test_figures_of_a_busy_week_are_those_of_the_raw_rows(store: Store, zone: str) -> None:
    here, writer = world(store=store, clock=ManualClock(AUTUMN + timedelta(days=30))), Writer(store, AUTUMN)
    await writer.people()
    await writer.write(busy_history(7, 150))
    await here.use_cases.reports.roll_up()
    assert writer.now - AUTUMN > timedelta(days=4)
    raw = await raw_rows(store)
    for start in (AUTUMN - timedelta(days=1), AUTUMN + timedelta(hours=33, minutes=1, seconds=3)):
        for end in (AUTUMN + timedelta(hours=50), AUTUMN + timedelta(hours=95, minutes=40), writer.now):
            period = ReportPeriod(start, end, zone_of(zone))
            await compare_usage(here, raw, period)
            await compare_credits(here, raw, period)


async def test_figures_of_months_that_are_summed_are_those_of_the_raw_rows(store: Store) -> None:
    begins = datetime(2026, 8, 30, tzinfo=UTC)
    here, writer = world(store=store, clock=ManualClock(begins + timedelta(days=100))), Writer(store, begins)
    await writer.people()
    await writer.write([(7 * seconds, act) for seconds, act in busy_history(11, 150)])
    assert writer.now - begins > timedelta(days=35)
    await here.use_cases.reports.roll_up()
    for late in (0, 20):
        if late:  # a day in a month that was summed, once more
            writer.now = begins + timedelta(days=late)
            await writer.write([(0, ("grant", "bob", 7)), (0, ("buy", "alice", PACKAGES[0]))])
        raw = await raw_rows(store)
        for summed in (False, True):
            if summed:
                await here.use_cases.reports.roll_up()
            for start, end in ((-60, 90), (3, 36), (1, 33)):
                period = ReportPeriod(begins + timedelta(days=start), begins + timedelta(days=end, hours=5), UTC)
                await compare_usage(here, raw, period)
                await compare_credits(here, raw, period)


def on_a_store(name: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run(folder: Path) -> None:
        store = STORES[name](folder)
        try:
            await work(store)
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def lived(
    store: Store,
    *,
    begins: datetime,
    first: list[tuple[int, Act]],
    then: list[tuple[int, Act]],
    zone: str,
    start: timedelta,
    length: timedelta,
    whole_days: bool,
    rolled_up: bool,
) -> tuple[World, Raw, ReportPeriod]:
    """A store in which something has happened and was rolled up, and then something more."""
    clock = ManualClock(begins)
    here, writer = world(store=store, clock=clock), Writer(store, begins)
    await writer.people()
    await writer.write(first)
    clock.now = writer.now + timedelta(days=1)
    await here.use_cases.reports.roll_up()
    await writer.write(then)
    clock.now = writer.now + timedelta(hours=6)
    if rolled_up:
        await here.use_cases.reports.roll_up()
    from_, to = begins + start, begins + start + length
    period = ReportPeriod(from_, to, zone_of(zone))
    if whole_days:
        days = [moment.astimezone(zone_of(zone)).date().isoformat() for moment in (from_, to)]
        period = ReportPeriod.of(days[0], days[1], zone, now=clock())
    return here, await raw_rows(store), period


async def compare_usage(here: World, raw: Raw, period: ReportPeriod) -> None:
    keys: dict[UsageGroup, Callable[[Interaction], str | None]] = {
        UsageGroup.MODEL: lambda each: each.model,
        UsageGroup.USER: lambda each: each.user_id,
        UsageGroup.API_KEY: lambda each: each.api_key_id,
        UsageGroup.OUTCOME: lambda each: each.outcome.value,
    }
    ended = [each for each in raw.interactions if each.finished_at and period.start <= each.finished_at < period.end]
    for group in UsageGroup:
        report = await here.use_cases.reports.usage.read(period, group, named=False)
        rows = usage_rows(report)
        assert same_usage(UsageRow.of(report.total), usage_of(raw.interactions, period.start, period.end, bool))
        if group in keys:
            of = keys[group]
            assert {row.key for row in rows} == {of(each) for each in ended}
            for row in rows:
                wanted = usage_of(ended, period.start, period.end, _fits(of, row.key))
                assert same_usage(row, wanted), (group, row.key)
        else:
            for row, bucket in zip(rows, period.buckets(Bucket(group.value)), strict=True):
                assert row.key == bucket.key
                assert same_usage(row, usage_of(ended, bucket.start, bucket.end, bool)), bucket


def _fits(of: Callable[[Interaction], str | None], key: str | None) -> Callable[[Interaction], bool]:
    return lambda each: of(each) == key


def same_usage(row: UsageRow, wanted: dict[str, object]) -> bool:
    """Compare all figures; percentiles may differ by half a percent."""
    found = asdict(row)
    for name, value in wanted.items():
        if name.startswith("latency") and isinstance(value, int):
            assert abs(found[name] - value) <= value * 0.005, (name, found[name], value)
        else:
            assert found[name] == value, (name, found[name], value)
    return True


async def compare_credits(here: World, raw: Raw, period: ReportPeriod) -> None:
    everything = moved(raw)
    total = credits_of(everything, period.start, period.end)
    for group in FinancialGroup:
        report = await here.use_cases.reports.financial.read(period, group, named=False)
        rows = credits_rows(report)
        assert figures(CreditsRow.of(report.total)) == total
        for row in [*rows, CreditsRow.of(report.total)]:
            gained = row.sold + row.bonus + row.granted
            assert row.opening + gained - row.charged - row.refunded + row.adjusted == row.closing
            assert row.paid_closing + row.free_closing == row.closing
        if group in {FinancialGroup.DAY, FinancialGroup.MONTH}:
            for row, bucket in zip(rows, period.buckets(Bucket(group.value)), strict=True):
                assert (row.key, figures(row)) == (bucket.key, credits_of(everything, bucket.start, bucket.end))
            continue
        assert Counter(add_up(rows)) == Counter(add_up([CreditsRow.of(report.total)]))
        for row in rows:
            of_row = [
                each
                for each in everything
                if row.key
                == (each.model if group is FinancialGroup.MODEL else each.entry.wallet_id.removeprefix("wallet-"))
            ]
            assert figures(row) == credits_of(of_row, period.start, period.end), (group, row.key)


def figures(row: CreditsRow) -> dict[str, object]:
    found = asdict(row)
    del found["key"], found["name"]
    money = {each.currency: [int(each.received * 100), int(each.owed * 100)] for each in row.money}
    return found | {"money": {currency: pair for currency, pair in money.items() if pair != [0, 0]}}


def add_up(rows: list[CreditsRow]) -> dict[str, int]:
    names = ("opening", "sold", "bonus", "granted", "charged", "refunded", "adjusted", "closing", "paid_closing")
    return {name: sum(getattr(row, name) for row in rows) for name in names}


async def filled(store: Store) -> tuple[World, Writer]:
    """A world of two days ago in which two people chatted and one paid."""
    here = world(store=store, clock=ManualClock(SPRING + timedelta(days=2)))
    writer = Writer(store, SPRING)
    await writer.people()
    chat = ("chat", "alice", "demo-mini", Outcome.COMPLETED, 3, False, 40)
    await writer.write([(0, ("buy", "alice", (100, 0, "4.99", "EUR"))), (60, chat), (60, chat)])
    return here, writer


EVER = ReportPeriod(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), UTC)


async def test_a_roll_up_that_runs_twice_changes_nothing(store: Store) -> None:
    here, _ = await filled(store)
    reports = here.use_cases.reports
    assert await reports.roll_up() == 2
    first = await reports.usage.read(EVER, UsageGroup.USER, named=False)
    assert await reports.roll_up() == 0
    assert await reports.usage.read(EVER, UsageGroup.USER, named=False) == first


async def test_a_step_whose_answer_was_lost_is_repeated_without_effect() -> None:
    store = FailingStore()
    here, _ = await filled(store)
    reports = here.use_cases.reports
    for lost in range(1, 5):
        store.lost_answers = 1 if lost < 4 else 0
        with contextlib.suppress(StoreUnavailable):
            await reports.roll_up()
        store.failures = 1 if lost < 4 else 0
        with contextlib.suppress(StoreUnavailable):
            await reports.roll_up()
    report = await reports.financial.read(EVER, FinancialGroup.USER, named=False)
    assert (report.total.sold, report.total.charged, report.total.closing) == (100, 6, 154)
    use = await reports.usage.read(EVER, UsageGroup.MODEL, named=False)
    assert use.total.requests == 2


async def test_what_comes_late_to_a_day_that_was_summed_is_counted(store: Store) -> None:
    here, writer = await filled(store)
    reports = here.use_cases.reports
    await reports.roll_up()
    writer.now = SPRING + timedelta(minutes=9)
    await writer.write([(0, ("grant", "bob", 7))])
    for _ in range(2):
        report = await reports.financial.read(EVER, FinancialGroup.USER, named=True)
        assert {row.name: row.figures.granted for row in report.rows} == {"alice": 20, "bob": 27, "carla": 20}
        await reports.roll_up()


async def test_two_refunds_of_one_charge_give_back_each_credit_once(store: Store) -> None:
    here, writer = world(store=store, clock=ManualClock(SPRING + timedelta(days=2))), Writer(store, SPRING)
    await writer.people()
    chat = ("chat", "alice", "demo-mini", Outcome.COMPLETED, 50, False, 40)
    await writer.write([(0, ("buy", "alice", (100, 0, "4.99", "EUR"))), (60, chat), (60, ("refund", 0, 25))])
    await here.use_cases.reports.roll_up()
    await writer.write([(60, ("refund", 0, 10))])
    report = await here.use_cases.reports.financial.read(EVER, FinancialGroup.USER, named=True)
    [alice] = [row.figures for row in report.rows if row.name == "alice"]
    assert (alice.paid_closing, alice.free_closing, alice.given_back) == (100, 5, 35)


async def test_a_rebuild_gives_the_same_figures(store: Store) -> None:
    here, _ = await filled(store)
    reports = here.use_cases.reports
    await reports.roll_up()
    before = [await reports.financial.read(EVER, group, named=False) for group in FinancialGroup]
    assert await reports.roll_up.rebuild() == 2
    assert [await reports.financial.read(EVER, group, named=False) for group in FinancialGroup] == before


async def test_the_first_roll_up_counts_what_the_outbox_has_forgotten(store: Store) -> None:
    here, _ = await filled(store)
    here.clock.now = SPRING + timedelta(days=40)
    assert await here.use_cases.maintenance.forget_events() == 6
    report = await here.use_cases.reports.financial.read(EVER, FinancialGroup.USER, named=False)
    assert (report.total.sold, report.total.charged, report.total.closing) == (100, 6, 154)


async def test_events_are_kept_until_they_are_rolled_up(store: Store) -> None:
    here, writer = await filled(store)
    await here.use_cases.reports.roll_up()
    await writer.write([(0, ("grant", "bob", 7))])
    here.clock.now = SPRING + timedelta(days=40)
    await here.use_cases.maintenance.forget_events()
    report = await here.use_cases.reports.financial.read(EVER, FinancialGroup.USER, named=False)
    assert report.total.granted == 67


async def test_reports_need_permissions_of_the_staff(store: Store) -> None:
    here, _ = await filled(store)
    zoe = await here.person("zoe")
    reports = here.use_cases.reports
    for role, usage, money in (
        (UserRole.USER, False, False),
        (UserRole.SUPPORT, True, False),
        (UserRole.FINANCE, True, True),
    ):
        member = replace(zoe, role=role)
        for allowed, report in (
            (usage, lambda who: reports.usage(who, EVER, UsageGroup.USER)),
            (money, lambda who: reports.financial(who, EVER, FinancialGroup.USER)),
        ):
            if allowed:
                assert (await report(member)).rows
            else:
                with pytest.raises(Forbidden):
                    await report(member)
