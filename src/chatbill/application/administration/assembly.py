"""The use cases of administration: credits moved by hand, and accounts and API keys of other people."""

from __future__ import annotations

from chatbill.application.accounts.assembly import AccountUseCases
from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.create_code import CreateCode
from chatbill.application.administration.create_user import CreateUser
from chatbill.application.administration.erase_own_account import EraseOwnAccount
from chatbill.application.administration.erase_user import EraseUser
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_audit_trail import ListAuditTrail
from chatbill.application.administration.list_codes import ListCodes
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.list_users import ListUsers
from chatbill.application.administration.make_password_link import MakePasswordLink
from chatbill.application.administration.name_users import NameUsers
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.remove_second_factor import RemoveSecondFactorOfUser
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.administration.show_user import ShowUser
from chatbill.application.administration.sign_out_user import SignOutUser
from chatbill.application.administration.update_user import UpdateUser
from chatbill.application.administration.withdraw_code import WithdrawCode
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider


class AdministrationUseCases:
    """Credits moved by hand, and accounts and API keys of other people."""

    def __init__(self, ports: PortProvider, policy: Policy, accounts: AccountUseCases) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.adjust_credits = AdjustCredits(store=store, clock=clock, new_id=new_id, max_debt=policy.max_debt)
        self.create_code = CreateCode(store=store, tokens=ports.tokens, clock=clock, new_id=new_id)
        self.create_user = CreateUser(
            store=store,
            passwords=ports.passwords,
            gate=accounts.password_gate,
            tokens=ports.tokens,
            clock=clock,
            new_id=new_id,
            welcome_credits=policy.welcome_credits,
        )
        self.erase_own_account = EraseOwnAccount(
            store=store, own_password=accounts.own_password, clock=clock, new_id=new_id
        )
        self.erase_user = EraseUser(store=store, clock=clock, new_id=new_id)
        self.find_administrator = FindAdministrator(store=store)
        self.list_audit_trail = ListAuditTrail(store=store)
        self.list_codes = ListCodes(store=store)
        self.list_keys_of_user = ListKeysOfUser(store=store, clock=clock)
        self.list_users = ListUsers(store=store)
        self.make_password_link = MakePasswordLink(store=store, tokens=ports.tokens, clock=clock, new_id=new_id)
        self.name_users = NameUsers(store=store)
        self.refund = Refund(store=store, clock=clock, new_id=new_id)
        self.remove_second_factor = RemoveSecondFactorOfUser(store=store, clock=clock, new_id=new_id)
        self.revoke_keys = RevokeKeys(store=store, clock=clock, new_id=new_id)
        self.show_user = ShowUser(store=store)
        self.sign_out_user = SignOutUser(store=store, clock=clock, new_id=new_id)
        self.update_user = UpdateUser(store=store, clock=clock, new_id=new_id)
        self.withdraw_code = WithdrawCode(store=store, clock=clock, new_id=new_id)
