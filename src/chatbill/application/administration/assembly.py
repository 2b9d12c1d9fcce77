"""The use cases of administration: credits moved by hand, and API keys of other people."""

from __future__ import annotations

from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.policy import Policy, PortProvider


class AdministrationUseCases:
    """Credits moved by hand, and API keys of other people."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.adjust_credits = AdjustCredits(store=store, clock=clock, new_id=new_id, max_debt=policy.max_debt)
        self.find_administrator = FindAdministrator(store=store)
        self.list_keys_of_user = ListKeysOfUser(store=store, clock=clock)
        self.refund = Refund(store=store, clock=clock, new_id=new_id)
        self.revoke_keys = RevokeKeys(store=store, clock=clock)
