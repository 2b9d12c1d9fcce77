"""The use cases of monitoring: what the service does now, and what it has done lately."""

from __future__ import annotations

from chatbill.application.chat.check_readiness import CheckReadiness
from chatbill.application.monitoring.alerts import AcknowledgeAlert, ListAlerts
from chatbill.application.monitoring.analyse import Analyse
from chatbill.application.monitoring.free_memory import FreeMemory
from chatbill.application.monitoring.list_logs import ListLogs
from chatbill.application.monitoring.read_figures import ReadFigures
from chatbill.application.monitoring.read_live import ReadHealth, ReadLive
from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.monitoring.record_findings import MAIL_ALERT, SEND_ALERT, RecordFindings
from chatbill.application.monitoring.watch import SampleModels, WatchProcess, WatchStore
from chatbill.application.policy import Policy
from chatbill.application.ports.notifier import Notifier
from chatbill.application.ports.provider import PortProvider


def notifiers_of(ports: PortProvider) -> dict[str, Notifier]:
    """Return the receivers of alerts, by the kind of the jobs that tell them."""
    found = {SEND_ALERT: ports.notifier, MAIL_ALERT: ports.alert_mailer}
    return {kind: notifier for kind, notifier in found.items() if notifier is not None}


class MonitoringUseCases:
    """Logs, live figures, alerts."""

    def __init__(
        self, ports: PortProvider, policy: Policy, recent: RecentFigures, check_readiness: CheckReadiness
    ) -> None:
        store, clock, new_id, bounds = ports.store, ports.clock, ports.new_id, policy.alerts
        self.list_logs = ListLogs(logs=ports.logs)
        self.read_figures = ReadFigures(
            store=store,
            engine=ports.engine,
            machine=ports.machine,
            clock=clock,
            metrics=recent,
            signals=ports.signals,
            backups=ports.backups,
        )
        self.record_findings = RecordFindings(store=store, clock=clock, new_id=new_id, sends=tuple(notifiers_of(ports)))
        self.watch_process = WatchProcess(
            read_figures=self.read_figures, recent=recent, record=self.record_findings, bounds=bounds
        )
        self.watch_store = WatchStore(store=store, clock=clock, record=self.record_findings, bounds=bounds)
        self.list_alerts = ListAlerts(store=store)
        self.acknowledge_alert = AcknowledgeAlert(store=store, clock=clock, new_id=new_id)
        self.sample_models = SampleModels(engine=ports.engine, recent=recent)
        self.read_live = ReadLive(read_figures=self.read_figures, recent=recent)
        self.read_health = ReadHealth(check_readiness=check_readiness, read_figures=self.read_figures)
        self.analyse = Analyse(read_figures=self.read_figures, recent=recent)
        self.free_memory = FreeMemory(
            store=store, engine=ports.engine, machine=ports.machine, clock=clock, new_id=new_id
        )
