"""The audit compares the roll-ups of reports with the rows from which they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chatbill.application.ports.repositories.reports import RollUpRow
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.reports.series import CREDITS_BY_WALLET, USAGE, USAGE_BY_USER, in_months
from chatbill.domain.audit.proof import Difference
from chatbill.domain.reports.finance import CreditFigures
from chatbill.domain.reports.periods import DAY, day_of, month_of
from chatbill.testing import ManualClock
from tests.kit.histories import AUTUMN, Writer, busy_history
from tests.kit.support import World, world

SECOND = day_of(AUTUMN + timedelta(days=1))


@pytest.fixture
async def here(store: Store) -> World:
    """A world with a busy week that was rolled up, and something after it that was not."""
    writer = Writer(store, AUTUMN)
    made = world(store=store, clock=ManualClock(AUTUMN + timedelta(days=30)))
    await writer.people()
    await writer.write(busy_history(7, 150))
    await made.use_cases.reports.roll_up()
    writer.now += timedelta(days=3)
    await writer.write([(0, ("grant", "bob", 7))])
    return made


async def differences(here: World) -> list[Difference]:
    found: list[Difference] = []
    await here.use_cases.audit.verify_ledger(found.append)
    return [each for each in found if each.rule == "roll_up"]


async def test_roll_ups_agree_with_the_rows(here: World) -> None:
    assert await differences(here) == []


def forged_sum(tx: Transaction) -> None:
    [row, *_] = tx.reports.rollups(USAGE, SECOND, SECOND + DAY)
    tx.reports.put_rollup(replace(row, figures="[1, 2, 3, [], [], []]"))


def lost_day(tx: Transaction) -> None:
    tx.reports.remove_rollups(USAGE_BY_USER, SECOND, SECOND + DAY)


def forged_month(tx: Transaction) -> None:
    [row, *_] = tx.reports.rollups(in_months(CREDITS_BY_WALLET), month_of(SECOND), SECOND)
    tx.reports.put_rollup(replace(row, figures=CreditFigures(sold=9).dumps()))


def lost_month(tx: Transaction) -> None:
    tx.reports.remove_rollups(in_months(USAGE_BY_USER), month_of(SECOND), SECOND)


def sum_of_nothing(tx: Transaction) -> None:
    tx.reports.put_rollup(RollUpRow(CREDITS_BY_WALLET, SECOND - 300 * DAY, "nobody", "[]"))


def forged_lots(tx: Transaction) -> None:
    note = tx.reports.note("lots", "wallet-bob")
    assert note
    tx.reports.put_note("lots", "wallet-bob", note.replace("[", "[ ", 1).replace('"[', '"[9', 1))


@pytest.mark.parametrize("tamper", [forged_sum, lost_day, forged_month, lost_month, sum_of_nothing, forged_lots])
async def test_a_roll_up_that_was_changed_is_a_difference(here: World, tamper: Callable[[Transaction], None]) -> None:
    await here.store.write(tamper)
    assert await differences(here)
    await here.use_cases.reports.roll_up.rebuild()
    assert await differences(here) == []
