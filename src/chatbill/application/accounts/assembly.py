"""The use cases of accounts: registration, signing in, API keys."""

from __future__ import annotations

from dataclasses import replace

from chatbill.application.accounts.authenticate import Authenticate
from chatbill.application.accounts.authenticate_key import AuthenticateKey
from chatbill.application.accounts.change_password import ChangePassword
from chatbill.application.accounts.check_code import CheckCode
from chatbill.application.accounts.confirm_second_factor import ConfirmSecondFactor
from chatbill.application.accounts.create_api_key import CreateApiKey
from chatbill.application.accounts.end_session import EndSession
from chatbill.application.accounts.forget_password import ForgetPassword
from chatbill.application.accounts.letters import QueueLetter
from chatbill.application.accounts.limit_page_events import LimitPageEvents
from chatbill.application.accounts.list_api_keys import ListApiKeys
from chatbill.application.accounts.list_sessions import ListSessions
from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.accounts.read_account import ReadAccount
from chatbill.application.accounts.read_limits import ReadLimits
from chatbill.application.accounts.read_second_factor import ReadSecondFactor
from chatbill.application.accounts.refresh import Refresh
from chatbill.application.accounts.register import Register
from chatbill.application.accounts.remove_second_factor import RemoveSecondFactor
from chatbill.application.accounts.reset_password import ResetPassword
from chatbill.application.accounts.revoke_api_key import RevokeApiKey
from chatbill.application.accounts.send_verification import SendVerification
from chatbill.application.accounts.set_second_factor import SetSecondFactor
from chatbill.application.accounts.sign_in import SignIn
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.accounts.update_account import UpdateAccount
from chatbill.application.accounts.verify_email import VerifyEmail
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider
from chatbill.application.ports.tokens import TokenUse
from chatbill.domain.accounts.sessions import SessionEnd


class AccountUseCases:
    """Registration, signing in, API keys. `password_gate` is shared by all work on passwords."""

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        store, tokens, clock = ports.store, ports.tokens, ports.clock
        self.password_gate = PasswordGate(ports.rate_limits, policy.passwords)
        self.authenticate = Authenticate(store=store, tokens=tokens, clock=clock, idle_s=policy.session_idle_s)
        self.authenticate_key = AuthenticateKey(store=store, tokens=tokens, clock=clock)
        self.read_account = ReadAccount(store=store)
        self.read_limits = ReadLimits(store=store, clock=clock)
        self.limit_page_events = LimitPageEvents(
            rate_limits=ports.rate_limits, of_person=policy.page_events, of_address=policy.address_page_events
        )
        self.own_password = _own_password(ports, policy, self.password_gate)
        check_code = _check_code(ports, policy)
        self._add_letters(ports, policy)
        self._add_passwords(ports, policy)
        self._add_second_factor(ports, policy, check_code)
        self._add_api_keys(ports, policy)
        self._add_sessions(ports, policy, check_code)

    def _add_letters(self, ports: PortProvider, policy: Policy) -> None:
        store, rate_limits, clock, new_id = ports.store, ports.rate_limits, ports.clock, ports.new_id
        queue_letter = QueueLetter(clock=clock, new_id=new_id, sends=ports.mailer is not None)
        self.forget_password = ForgetPassword(
            store=store,
            queue_letter=queue_letter,
            rate_limits=rate_limits,
            per_address=policy.forgotten_passwords,
            per_person=policy.letters_of_person,
            in_all=policy.all_forgotten_passwords,
        )
        self.register = _register(ports, policy, self.password_gate, queue_letter)
        self.send_verification = SendVerification(
            store=store, queue_letter=queue_letter, rate_limits=rate_limits, per_person=policy.letters_of_person
        )
        self.verify_email = VerifyEmail(
            store=store,
            tokens=ports.tokens,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            attempts=policy.sign_in_failures,
            welcome_credits=policy.welcome_credits,
        )
        self.update_account = UpdateAccount(
            store=store,
            own_password=self.own_password,
            queue_letter=queue_letter,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            limit=policy.account_changes,
        )

    def _add_passwords(self, ports: PortProvider, policy: Policy) -> None:
        self.change_password = ChangePassword(
            store=ports.store,
            passwords=ports.passwords,
            gate=self.password_gate,
            own_password=self.own_password,
            clock=ports.clock,
            new_id=ports.new_id,
        )
        self.reset_password = ResetPassword(
            store=ports.store,
            passwords=ports.passwords,
            gate=self.password_gate,
            tokens=ports.tokens,
            rate_limits=ports.rate_limits,
            clock=ports.clock,
            new_id=ports.new_id,
            attempts=policy.sign_in_failures,
        )

    def _add_second_factor(self, ports: PortProvider, policy: Policy, check_code: CheckCode) -> None:
        store, own_password, clock, new_id = ports.store, self.own_password, ports.clock, ports.new_id
        self.read_second_factor = ReadSecondFactor(store=store)
        self.set_second_factor = SetSecondFactor(
            store=store,
            own_password=own_password,
            secrets=ports.secrets,
            one_time_codes=ports.one_time_codes,
            rate_limits=ports.rate_limits,
            clock=clock,
            limit=policy.second_factors,
        )
        self.confirm_second_factor = ConfirmSecondFactor(
            store=store, check_code=check_code, tokens=ports.tokens, clock=clock, new_id=new_id
        )
        self.remove_second_factor = RemoveSecondFactor(
            store=store, own_password=own_password, check_code=check_code, clock=clock, new_id=new_id
        )

    def _add_api_keys(self, ports: PortProvider, policy: Policy) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.create_api_key = CreateApiKey(
            store=store,
            own_password=self.own_password,
            tokens=ports.tokens,
            rate_limits=ports.rate_limits,
            clock=clock,
            new_id=new_id,
            limit=policy.api_keys,
        )
        self.list_api_keys = ListApiKeys(store=store, clock=clock)
        self.revoke_api_key = RevokeApiKey(store=store, clock=clock, new_id=new_id)

    def _add_sessions(self, ports: PortProvider, policy: Policy, check_code: CheckCode) -> None:
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        self.sign_in = _sign_in(ports, policy, self.password_gate, check_code)
        self.sign_out = SignOut(store=store, clock=clock, new_id=new_id)
        self.refresh = _refresh(ports, policy)
        self.list_sessions = ListSessions(store=store, clock=clock, idle_s=policy.session_idle_s)
        self.end_session = EndSession(store=store, clock=clock, new_id=new_id)
        # A browser keeps one token, as long as the sign-in lasts; signing out kills it in the store.
        self.web_authenticate = replace(self.authenticate, use=TokenUse.PAGE)
        self.web_watch = replace(self.web_authenticate, notes_use=False)
        self.web_sign_in = replace(self.sign_in, lifetimes=policy.web_lifetimes, use=TokenUse.PAGE)
        self.web_replace = replace(self.sign_out, because=SessionEnd.REPLACED)


def _own_password(ports: PortProvider, policy: Policy, gate: PasswordGate) -> OwnPassword:
    return OwnPassword(
        store=ports.store,
        passwords=ports.passwords,
        gate=gate,
        rate_limits=ports.rate_limits,
        failures=policy.sign_in_failures,
        clock=ports.clock,
        new_id=ports.new_id,
        recent_s=policy.fresh_sign_in_s,
    )


def _refresh(ports: PortProvider, policy: Policy) -> Refresh:
    return Refresh(
        store=ports.store,
        tokens=ports.tokens,
        rate_limits=ports.rate_limits,
        clock=ports.clock,
        new_id=ports.new_id,
        lifetimes=policy.lifetimes,
        idle_s=policy.session_idle_s,
        per_session=policy.session_refreshes,
        per_address=policy.address_refreshes,
    )


def _register(ports: PortProvider, policy: Policy, gate: PasswordGate, queue_letter: QueueLetter) -> Register:
    return Register(
        queue_letter=queue_letter,
        welcome_after_verification=policy.welcome_after_verification and queue_letter.sends,
        store=ports.store,
        passwords=ports.passwords,
        gate=gate,
        rate_limits=ports.rate_limits,
        clock=ports.clock,
        new_id=ports.new_id,
        limit=policy.registrations,
        network_limit=policy.network_registrations,
        limit_in_all=policy.all_registrations,
        welcome_credits=policy.welcome_credits,
        is_open=policy.registration_open,
    )


def _check_code(ports: PortProvider, policy: Policy) -> CheckCode:
    return CheckCode(
        secrets=ports.secrets,
        one_time_codes=ports.one_time_codes,
        tokens=ports.tokens,
        rate_limits=ports.rate_limits,
        clock=ports.clock,
        failures=policy.code_failures,
        failures_in_all=policy.all_code_failures,
    )


def _sign_in(ports: PortProvider, policy: Policy, gate: PasswordGate, check_code: CheckCode) -> SignIn:
    return SignIn(
        check_code=check_code,
        store=ports.store,
        passwords=ports.passwords,
        gate=gate,
        tokens=ports.tokens,
        rate_limits=ports.rate_limits,
        clock=ports.clock,
        new_id=ports.new_id,
        failures=policy.sign_in_failures,
        address_failures=policy.address_failures,
        name_failures=policy.name_failures,
        lifetimes=policy.lifetimes,
    )
