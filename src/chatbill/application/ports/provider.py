"""All ports together, as `assemble` takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from chatbill.application.ports.backups import Backups
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.log_reader import LogReader, NoLogs
from chatbill.application.ports.machine import Machine, UnknownMachine
from chatbill.application.ports.mail import Mailer
from chatbill.application.ports.metrics import Metrics, NoMetrics
from chatbill.application.ports.notifier import Notifier
from chatbill.application.ports.one_time_codes import NoOneTimeCodes, NoSecrets, OneTimeCodes, Secrets
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.payments import PaymentProvider
from chatbill.application.ports.rate_limits import RateLimits
from chatbill.application.ports.signals import LocalSignals, Signals
from chatbill.application.ports.store import Store
from chatbill.application.ports.tokens import Tokens
from chatbill.domain.chat.catalogue import Catalogue


class PortProvider(Protocol):
    """One adapter for every port, made when it is first read: a feature reads those that it needs, and no others."""

    @property
    def store(self) -> Store: ...
    @property
    def probe_store(self) -> Store | None:
        """Return the same store with connections of its own, for probes and leases; None where one store is enough."""
        ...

    @property
    def engine(self) -> Engine: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def payments(self) -> PaymentProvider | None: ...
    @property
    def passwords(self) -> Passwords: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def one_time_codes(self) -> OneTimeCodes: ...
    @property
    def rate_limits(self) -> RateLimits: ...
    @property
    def signals(self) -> Signals: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def new_id(self) -> NewId: ...
    @property
    def logs(self) -> LogReader: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def machine(self) -> Machine: ...
    @property
    def notifier(self) -> Notifier | None: ...
    @property
    def alert_mailer(self) -> Notifier | None: ...
    @property
    def mailer(self) -> Mailer | None: ...
    @property
    def backups(self) -> Backups | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One adapter for every port, and the models that the engine has. Without `payments`, no credits are sold."""

    store: Store
    engine: Engine
    catalogue: Catalogue
    payments: PaymentProvider | None
    passwords: Passwords
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    signals: Signals = field(default_factory=LocalSignals)
    secrets: Secrets = field(default_factory=NoSecrets)
    one_time_codes: OneTimeCodes = field(default_factory=NoOneTimeCodes)
    logs: LogReader = field(default_factory=NoLogs)
    metrics: Metrics = field(default_factory=NoMetrics)
    machine: Machine = field(default_factory=UnknownMachine)
    probe_store: Store | None = None
    notifier: Notifier | None = None
    alert_mailer: Notifier | None = None
    mailer: Mailer | None = None
    backups: Backups | None = None
