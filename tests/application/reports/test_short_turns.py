"""The turns of threads while a report is added up."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from chatbill.application.chat.messages import Message
from chatbill.application.reports import reading
from chatbill.application.reports.short_turns import REST_S, TURN_S, WORK_S, Rests, short_turns
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.domain.reports.periods import ReportPeriod
from tests.kit.staff import member
from tests.kit.support import MINI, world


def test_turns_are_short_until_the_last_report_has_ended() -> None:
    usual = sys.getswitchinterval()
    with short_turns():
        with short_turns():
            assert sys.getswitchinterval() == pytest.approx(TURN_S)
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == usual


def test_turns_are_as_usual_after_errors_and_on_many_threads() -> None:
    usual = sys.getswitchinterval()

    def report() -> None:
        for _ in range(200):
            with pytest.raises(KeyError), short_turns():
                raise KeyError

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.getswitchinterval() == usual


def test_long_work_rests_after_each_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rested = [0.0], list[float]()
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", rested.append)
    rest = Rests()
    for _ in range(30):
        now[0] += WORK_S / 5
        rest()
    assert rested == [REST_S] * 5


async def test_a_report_may_rest_at_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    here, rests = world(), list[None]()
    monkeypatch.setattr(reading, "Rests", lambda: lambda: rests.append(None))
    ann, root = await here.person("ann"), await member(here)
    reply = await here.use_cases.chat.send_message(ann, Message(model=MINI, text="hello"))
    await reply.finished()
    today = here.clock().date().isoformat()
    period = ReportPeriod.of(today, today, "UTC", now=here.clock())
    report = await here.use_cases.reports.usage(root, period, UsageGroup.MODEL)
    assert report.total.requests == 1
    assert rests
