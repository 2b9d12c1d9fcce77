"""The use cases of monitoring: what the service does now, and what it has done lately."""

from __future__ import annotations

from chatbill.application.monitoring.list_logs import ListLogs
from chatbill.application.monitoring.read_figures import ReadFigures
from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.ports.provider import PortProvider


class MonitoringUseCases:
    """Logs, live figures, alerts."""

    def __init__(self, ports: PortProvider, recent: RecentFigures) -> None:
        self.list_logs = ListLogs(logs=ports.logs)
        self.read_figures = ReadFigures(
            store=ports.store, engine=ports.engine, machine=ports.machine, clock=ports.clock, metrics=recent
        )
