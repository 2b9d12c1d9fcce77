"""Which members of the staff see the log, and how it is searched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from chatbill.application.ports.log_reader import LogEvent
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.errors import Forbidden, InvalidRequest
from tests.kit.staff import principal_of
from tests.kit.support import world


def event(name: str, level: str = "info", **facts: str | int) -> LogEvent:
    return LogEvent(at="2026-01-01T00:00:00Z", level=level, logger="chatbill.x", event=name, facts=facts)


@dataclass
class Remembered:
    events: list[LogEvent]

    def newest(self) -> list[LogEvent]:
        return self.events


EVENTS = [event("request", status=200), event("reply_failed", "error", model="demo-Pro"), event("debugged", "debug")]


async def test_events_are_found_by_level_and_text_newest_first() -> None:
    here = world(logs=Remembered(EVENTS))
    admin = await principal_of(here, UserRole.ADMIN)
    find = here.use_cases.monitoring.list_logs
    assert find(admin) == EVENTS
    assert find(admin, level="info") == EVENTS[:2]
    assert find(admin, level="warning") == EVENTS[1:2]
    assert find(admin, text="DEMO-pro") == EVENTS[1:2]
    assert find(admin, text="chatbill.x", limit=1) == EVENTS[:1]
    assert find(admin, text="nothing") == []


@pytest.mark.parametrize(("field", "value"), [("level", "loud"), ("limit", 0), ("limit", 1_001)])
async def test_bad_filters_are_refused_by_name(field: str, value: object) -> None:
    here = world(logs=Remembered(EVENTS))
    admin = await principal_of(here, UserRole.ADMIN)
    with pytest.raises(InvalidRequest) as refused:
        here.use_cases.monitoring.list_logs(admin, **{field: value})  # type: ignore[arg-type]
    assert refused.value.errors[0].field == field


@pytest.mark.parametrize("role", [role for role in UserRole if role is not UserRole.ADMIN])
async def test_the_log_is_for_those_who_may_read_the_audit(role: UserRole) -> None:
    here = world(logs=Remembered(EVENTS))
    with pytest.raises(Forbidden):
        here.use_cases.monitoring.list_logs(await principal_of(here, role))
