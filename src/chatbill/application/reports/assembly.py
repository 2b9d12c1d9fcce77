"""The use cases of reports: use and money over a period, and the roll-ups behind them."""

from __future__ import annotations

from functools import cached_property

from chatbill.application.chat.list_models import ListModels
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider
from chatbill.application.reports.export_jobs import ExportJobs
from chatbill.application.reports.export_places import ExportPlaces
from chatbill.application.reports.financial_report import FinancialReport
from chatbill.application.reports.list_interactions import ListInteractions
from chatbill.application.reports.list_ledger import ListLedger
from chatbill.application.reports.own_spending import OwnSpending
from chatbill.application.reports.read_dashboard import ReadDashboard
from chatbill.application.reports.record_export import RecordExport
from chatbill.application.reports.roll_up import RollUp
from chatbill.application.reports.usage_report import UsageReport


class ReportUseCases:
    """Reports and their roll-ups."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        store, clock = ports.store, ports.clock
        self.clock = clock
        self.export_places = ExportPlaces()
        self.list_interactions = ListInteractions(
            store=store, clock=clock, new_id=ports.new_id, reads_texts=policy.admin_reads_texts
        )
        self.list_ledger = ListLedger(store=store)
        self.own_spending = OwnSpending(store=store, rate_limits=ports.rate_limits, rate=policy.own_reports)
        self.record_export = RecordExport(store=store, clock=clock, new_id=ports.new_id)
        self.export_jobs = ExportJobs(store=store, clock=clock, new_id=ports.new_id)
        self.roll_up = RollUp(store=store, clock=clock)
        self.usage = UsageReport(store=store, roll_up=self.roll_up)
        self.financial = FinancialReport(store=store, roll_up=self.roll_up)
        self._ports = ports

    @cached_property
    def read_dashboard(self) -> ReadDashboard:
        """Return the use case that also needs the engine, which the others do without."""
        list_models = ListModels(engine=self._ports.engine, catalogue=self._ports.catalogue)
        return ReadDashboard(
            store=self._ports.store, usage=self.usage, financial=self.financial, list_models=list_models
        )
