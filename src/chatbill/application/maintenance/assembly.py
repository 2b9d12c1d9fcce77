"""The use cases of maintenance: what runs by itself beside the requests."""

from __future__ import annotations

from chatbill.application.chat.settlement import interrupt
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.maintenance.forget_events import ForgetEvents
from chatbill.application.maintenance.forget_sessions import ForgetSessions
from chatbill.application.ports.provider import PortProvider
from chatbill.domain.billing.subjects import INTERACTION


class MaintenanceUseCases:
    """The use cases that run in the background."""

    def __init__(self, ports: PortProvider) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.expire_holds = ExpireHolds(store=store, clock=clock, new_id=new_id, subjects={INTERACTION: interrupt})
        self.forget_events = ForgetEvents(store=store, clock=clock)
        self.forget_sessions = ForgetSessions(store=store, clock=clock)
