"""What many tests need: every use case over in-memory adapters, with a clock that moves when told to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.payments.sandbox import SandboxPayments
from chatbill.application.accounts.authenticate import Authenticate
from chatbill.application.accounts.authenticate_key import AuthenticateKey
from chatbill.application.accounts.change_password import ChangePassword
from chatbill.application.accounts.create_api_key import CreateApiKey
from chatbill.application.accounts.list_api_keys import ListApiKeys
from chatbill.application.accounts.principal import Principal
from chatbill.application.accounts.read_account import ReadAccount
from chatbill.application.accounts.refresh import Refresh
from chatbill.application.accounts.register import Register, Registration
from chatbill.application.accounts.revoke_api_key import RevokeApiKey
from chatbill.application.accounts.sign_in import Credentials, SignIn, TokenLifetimes
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.assembly import UseCases
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.billing.list_packages import ListPackages
from chatbill.application.billing.list_transactions import ListTransactions
from chatbill.application.billing.read_balance import ReadBalance
from chatbill.application.billing.place_order import TopUp
from chatbill.application.chat.delete_conversation import DeleteConversation
from chatbill.application.chat.list_conversations import ListConversations
from chatbill.application.chat.list_history import ListHistory
from chatbill.application.chat.list_models import ListModels
from chatbill.application.chat.messages import ReplyBounds
from chatbill.application.chat.read_conversation import ReadConversation
from chatbill.application.chat.rename_conversation import RenameConversation
from chatbill.application.chat.replies import Replies
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.chat.stop_message import StopMessage
from chatbill.application.maintenance.apply_stop_requests import ApplyStopRequests
from chatbill.application.maintenance.check_readiness import CheckReadiness
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.maintenance.forget_sessions import ForgetSessions
from chatbill.application.maintenance.write_check import WriteCheck
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.payments import PaymentProvider
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store
from chatbill.application.ports.tokens import Tokens
from chatbill.domain.billing.payments import Money, Package, PriceList
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.ids import ModelId
from chatbill.testing import CountingIds, FreeRateLimits, InstantEngine, ManualClock, PlainPasswords, PlainTokens

PASSWORD = "correct horse battery"
MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
CATALOGUE = Catalogue(
    (
        Model(
            id=MINI,
            name="Demo mini",
            tier=Tier.MINI,
            price=Price(per_reply=1),
            context_tokens=2_048,
            max_reply_tokens=512,
        ),
        Model(
            id=PRO, name="Demo pro", tier=Tier.PRO, price=Price(per_reply=3), context_tokens=2_048, max_reply_tokens=512
        ),
    )
)
PRICES = PriceList(
    packages=(Package(id="small", credits=100, bonus=0, price=Money(Decimal("1.00"), "EUR")),),
    unit_price=Money(Decimal("0.01"), "EUR"),
)


@dataclass(kw_only=True)
class World:
    """A whole service in memory. `clock` moves when told to."""

    use_cases: UseCases
    store: Store
    engine: Engine
    clock: ManualClock

    async def person(self, name: str = "alice") -> Principal:
        """Somebody who registered and signed in."""
        await self.use_cases.register(Registration(username=name, email=f"{name}@example.org", password=PASSWORD))
        signed_in = await self.use_cases.sign_in(Credentials(login=name, password=PASSWORD))
        return signed_in.principal


def world(
    *,
    store: Store | None = None,
    engine: Engine | None = None,
    passwords: Passwords | None = None,
    tokens: Tokens | None = None,
    rate_limits: RateLimits | None = None,
    provider: PaymentProvider | None = None,
    catalogue: Catalogue = CATALOGUE,
    clock: ManualClock | None = None,
    ids: str = "id",
    welcome_credits: int = 100,
    max_debt: int = 0,
    cached_price_percent: int = 100,
    deadline_s: float = 5,
    grace_s: float = 5,
    first_token_s: float = math.inf,
    per_user: int = 0,
) -> World:
    """Every use case over the ports given, in memory where none is.

    Worlds that share a store need `ids` of their own, as processes have.
    """
    store = store or MemoryStore()
    engine = engine or InstantEngine(catalogue)
    passwords = passwords or PlainPasswords()
    tokens = tokens or PlainTokens()
    rate_limits = rate_limits or FreeRateLimits()
    clock, new_id, replies = clock or ManualClock(), CountingIds(ids), Replies(per_user=per_user)
    lifetimes = TokenLifetimes(access_s=3_600, refresh_s=86_400)
    failures = Limit(name="failures", times=10, window_s=300)
    list_models = ListModels(engine=engine, catalogue=catalogue)
    bounds = ReplyBounds(
        deadline_s=deadline_s,
        grace_s=grace_s,
        max_message_chars=10_000,
        max_reply_tokens=512,
        rate=Limit(name="messages", times=0, window_s=60),
        first_token_s=first_token_s,
    )
    use_cases = UseCases(
        adjust_credits=AdjustCredits(store=store, clock=clock, new_id=new_id, max_debt=max_debt),
        authenticate=Authenticate(store=store, tokens=tokens, clock=clock),
        authenticate_key=AuthenticateKey(store=store, tokens=tokens, clock=clock),
        change_password=ChangePassword(
            store=store, passwords=passwords, rate_limits=rate_limits, clock=clock, failures=failures
        ),
        check_readiness=CheckReadiness(write_check=WriteCheck(store, new_id), list_models=list_models),
        create_api_key=CreateApiKey(
            store=store,
            tokens=tokens,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            limit=Limit(name="API keys", times=0, window_s=3_600),
        ),
        delete_conversation=DeleteConversation(store=store, clock=clock),
        expire_holds=ExpireHolds(store=store, clock=clock, new_id=new_id),
        find_administrator=FindAdministrator(store=store),
        forget_sessions=ForgetSessions(store=store, clock=clock),
        apply_stop_requests=ApplyStopRequests(store=store, replies=replies),
        list_api_keys=ListApiKeys(store=store, clock=clock),
        list_conversations=ListConversations(store=store),
        list_history=ListHistory(store=store),
        list_keys_of_user=ListKeysOfUser(store=store, clock=clock),
        list_models=list_models,
        list_packages=ListPackages(prices=PRICES),
        list_transactions=ListTransactions(store=store),
        read_account=ReadAccount(store=store),
        read_balance=ReadBalance(store=store),
        read_conversation=ReadConversation(store=store),
        refresh=Refresh(store=store, tokens=tokens, clock=clock, lifetimes=lifetimes),
        refund=Refund(store=store, clock=clock, new_id=new_id),
        register=Register(
            store=store,
            passwords=passwords,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            limit=Limit(name="registrations", times=0, window_s=3_600),
            welcome_credits=welcome_credits,
        ),
        rename_conversation=RenameConversation(store=store, clock=clock),
        revoke_api_key=RevokeApiKey(store=store, clock=clock),
        revoke_keys=RevokeKeys(store=store, clock=clock),
        send_message=SendMessage(
            store=store,
            engine=engine,
            catalogue=catalogue,
            replies=replies,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            bounds=bounds,
            settle_attempts=3,
            cached_price_percent=cached_price_percent,
        ),
        sign_in=SignIn(
            store=store,
            passwords=passwords,
            tokens=tokens,
            rate_limits=rate_limits,
            clock=clock,
            new_id=new_id,
            failures=failures,
            lifetimes=lifetimes,
        ),
        sign_out=SignOut(store=store, clock=clock),
        stop_message=StopMessage(store=store, replies=replies, clock=clock),
        top_up=TopUp(store=store, provider=provider or SandboxPayments(), prices=PRICES, clock=clock, new_id=new_id),
        verify_ledger=VerifyLedger(store=store, clock=clock, sweep_allowance_s=0),
        replies=replies,
    )
    return World(use_cases=use_cases, store=store, engine=engine, clock=clock)
