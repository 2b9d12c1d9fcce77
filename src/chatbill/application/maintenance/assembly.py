"""The use cases of maintenance: what runs by itself beside the requests."""

from __future__ import annotations

from chatbill.application.chat.settlement import interrupt
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.maintenance.forget_events import ForgetEvents
from chatbill.application.maintenance.forget_jobs import ForgetJobs
from chatbill.application.maintenance.forget_sessions import ForgetSessions
from chatbill.application.maintenance.forget_texts import ForgetTexts
from chatbill.application.maintenance.release_abandoned import ReleaseAbandoned
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider
from chatbill.application.shared.lease import Lease
from chatbill.domain.billing.subjects import INTERACTION


class MaintenanceUseCases:
    """The use cases that run in the background."""

    def __init__(self, ports: PortProvider, policy: Policy, lease: Lease) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.expire_holds = ExpireHolds(store=store, clock=clock, new_id=new_id, subjects={INTERACTION: interrupt})
        self.renew_lease = lease
        self.release_abandoned = ReleaseAbandoned(store=store, lease=lease, expire_holds=self.expire_holds)
        self.forget_events = ForgetEvents(store=store, clock=clock)
        self.forget_jobs = ForgetJobs(store=store, clock=clock)
        self.forget_texts = ForgetTexts(store=store, clock=clock, kept_days=policy.keep_texts_days)
        self.forget_sessions = ForgetSessions(store=store, clock=clock)
