"""The use cases of administration: credits moved by hand, and accounts and API keys of other people."""

from __future__ import annotations

from chatbill.application.administration.activate_user import ActivateUser
from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.list_users import ListUsers
from chatbill.application.administration.make_password_link import MakePasswordLink
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.administration.show_user import ShowUser
from chatbill.application.administration.sign_out_user import SignOutUser
from chatbill.application.administration.suspend_user import SuspendUser
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider


class AdministrationUseCases:
    """Credits moved by hand, and accounts and API keys of other people."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.activate_user = ActivateUser(store=store)
        self.adjust_credits = AdjustCredits(store=store, clock=clock, new_id=new_id, max_debt=policy.max_debt)
        self.find_administrator = FindAdministrator(store=store)
        self.list_keys_of_user = ListKeysOfUser(store=store, clock=clock)
        self.list_users = ListUsers(store=store)
        self.make_password_link = MakePasswordLink(store=store, tokens=ports.tokens, clock=clock)
        self.refund = Refund(store=store, clock=clock, new_id=new_id)
        self.revoke_keys = RevokeKeys(store=store, clock=clock)
        self.show_user = ShowUser(store=store)
        self.sign_out_user = SignOutUser(store=store, clock=clock)
        self.suspend_user = SuspendUser(store=store, clock=clock)
