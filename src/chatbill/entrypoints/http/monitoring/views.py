"""Response bodies of monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatbill.application.monitoring.analyse import Advice
from chatbill.application.monitoring.read_live import Part, PartState
from chatbill.application.ports.log_reader import LogEvent
from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEventView:
    """One event of the log. `facts` depend on the event."""

    at: str
    level: str
    logger: str
    event: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, event: LogEvent) -> LogEventView:
        """Return the view of an event."""
        return cls(at=event.at, level=event.level, logger=event.logger, event=event.event, facts=dict(event.facts))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsView:
    """The newest events of one process, newest first."""

    items: list[LogEventView]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsView:
    """A page of alerts, newest first."""

    items: list[AlertView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """One part of the service: `state` is `ok`, `degraded` or `down`."""

    name: str
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsView:
    """The state of all parts; `state` is the worst of them."""

    state: str
    parts: list[PartView]

    @classmethod
    def of(cls, parts: list[Part]) -> PartsView:
        """Return the view of the parts."""
        states = list(PartState)
        worst = max((part.state for part in parts), key=states.index, default=PartState.OK)
        shown = [
            PartView(name=each.name, state=each.state.value, reason=render(each.reason) if each.reason else None)
            for each in parts
        ]
        return cls(state=worst.value, parts=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceView:
    """A finding with its advice. `evidence` has the figures of the sentence."""

    code: str
    advice: str
    evidence: dict[str, Any]

    @classmethod
    def of(cls, advice: Advice) -> AdviceView:
        """Return the view of a finding."""
        words = render(Description(advice.code, advice.evidence))
        return cls(code=advice.code, advice=words, evidence=dict(advice.evidence))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisView:
    """What makes the service slow or unreliable; empty where nothing is known to."""

    findings: list[AdviceView]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreedView:
    """The memory of the process and its children before and after, in bytes."""

    before_bytes: int
    after_bytes: int
