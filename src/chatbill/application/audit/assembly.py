"""The use cases of the audit."""

from __future__ import annotations

from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider


class AuditUseCases:
    """The use cases of the audit."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        self.verify_ledger = VerifyLedger(
            store=ports.store, clock=ports.clock, sweep_allowance_s=policy.sweep_allowance_s
        )
