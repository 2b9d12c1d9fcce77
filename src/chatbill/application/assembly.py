"""The wiring of every use case: pure Python, the same for the service, for tests and for embedding applications.

A new use case is one file and one statement in the assembly of its feature.
"""

from __future__ import annotations

from functools import cached_property

from chatbill.application.accounts.assembly import AccountUseCases
from chatbill.application.administration.assembly import AdministrationUseCases
from chatbill.application.audit.assembly import AuditUseCases
from chatbill.application.billing.assembly import BillingUseCases
from chatbill.application.chat.assembly import ChatUseCases
from chatbill.application.jobs.assembly import JobUseCases
from chatbill.application.maintenance.assembly import MaintenanceUseCases
from chatbill.application.monitoring.assembly import MonitoringUseCases
from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider
from chatbill.application.reports.assembly import ReportUseCases
from chatbill.application.shared.lease import Lease


class UseCases:
    """Every use case by its feature, ready to call. A feature is made when it is first asked for."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        self._ports = ports
        self._policy = policy

    @cached_property
    def recent(self) -> RecentFigures:
        """Return the metrics of this process, which remember the last hour."""
        return RecentFigures(self._ports.metrics)

    @cached_property
    def lease(self) -> Lease:
        """Return the lease of this process."""
        return Lease(self._ports.probe_store or self._ports.store, self._ports.new_id)

    @cached_property
    def accounts(self) -> AccountUseCases:
        """Return the use cases of registration, signing in, API keys."""
        return AccountUseCases(self._ports, self._policy)

    @cached_property
    def billing(self) -> BillingUseCases:
        """Return the use cases of balance, orders, payments, events, and charges for work of any kind."""
        return BillingUseCases(self._ports, self._policy)

    @cached_property
    def chat(self) -> ChatUseCases:
        """Return the use cases of messages, conversations, the history, the models."""
        return ChatUseCases(self._ports, self._policy, self.recent, self.lease)

    @cached_property
    def administration(self) -> AdministrationUseCases:
        """Return the use cases of other people, of their credits and keys, and of the audit trail."""
        return AdministrationUseCases(self._ports, self._policy, self.accounts)

    @cached_property
    def maintenance(self) -> MaintenanceUseCases:
        """Return the use cases that run in the background."""
        return MaintenanceUseCases(self._ports, self._policy, self.lease)

    @cached_property
    def jobs(self) -> JobUseCases:
        """Return the runner of jobs, and what an operator does with them."""
        return JobUseCases(
            self._ports,
            self._policy,
            self.recent,
            maintenance=self.maintenance,
            audit=self.audit,
            monitoring=self.monitoring,
        )

    @cached_property
    def monitoring(self) -> MonitoringUseCases:
        """Return the use cases of logs, live figures and alerts."""
        return MonitoringUseCases(self._ports, self._policy, self.recent, self.chat.check_readiness)

    @cached_property
    def reports(self) -> ReportUseCases:
        """Return the use cases of reports about use and money."""
        return ReportUseCases(self._ports, self._policy)

    @cached_property
    def audit(self) -> AuditUseCases:
        """Return the use cases of the audit."""
        return AuditUseCases(self._ports, self._policy)


def assemble(ports: PortProvider, policy: Policy) -> UseCases:
    """Return every use case over these ports, by the rules of this policy."""
    return UseCases(ports, policy)
