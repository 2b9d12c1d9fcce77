"""What many tests need: every use case over in-memory adapters, with a clock that moves when told to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.payments.sandbox import SandboxPayments
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.assembly import UseCases, assemble
from chatbill.application.policy import Policy
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.mail import Mailer
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.payments import PaymentProvider
from chatbill.application.ports.provider import Ports
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.bounds import ReplyBounds, TokenLifetimes
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.payments import Money, Package, PriceList
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.ids import ModelId
from chatbill.testing import (
    CountingIds,
    FreeRateLimits,
    InstantEngine,
    ManualClock,
    PlainOneTimeCodes,
    PlainPasswords,
    PlainSecrets,
    PlainTokens,
)

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
NEVER = Limit(name="any", times=0, window_s=60)
PRICES = PriceList(
    packages=(Package(id="small", credits=100, bonus=0, price=Money(Decimal("1.00"), "EUR")),),
    unit_price=Money(Decimal("0.01"), "EUR"),
)


@dataclass(kw_only=True)
class World:
    """A whole service in memory. `clock` moves when told to."""

    ports: Ports
    policy: Policy
    use_cases: UseCases
    store: Store
    engine: Engine
    clock: ManualClock

    async def person(self, name: str = "alice") -> Principal:
        """Somebody who registered and signed in."""
        await self.use_cases.accounts.register(
            Registration(username=name, email=f"{name}@example.org", password=PASSWORD)
        )
        signed_in = await self.use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD))
        return signed_in.principal


class RunningClock(ManualClock):
    """A clock that shows the real time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def world(
    *,
    store: Store | None = None,
    engine: Engine | None = None,
    passwords: Passwords | None = None,
    tokens: Tokens | None = None,
    rate_limits: RateLimits | None = None,
    provider: PaymentProvider | None = None,
    sells: bool = True,
    prices: PriceList = PRICES,
    catalogue: Catalogue = CATALOGUE,
    clock: ManualClock | None = None,
    mailer: Mailer | None = None,
    welcome_after_verification: bool = False,
    ids: str = "id",
    welcome_credits: int = 100,
    max_debt: int = 0,
    cached_price_percent: int = 100,
    deadline_s: float = 5,
    grace_s: float = 5,
    first_token_s: float = math.inf,
    per_user: int = 0,
    max_message_chars: int = 10_000,
    unpaid_replies: int = 0,
    unpaid_tokens: int = 0,
    unpaid_kib: int = 0,
    registrations: Limit = NEVER,
    network_registrations: Limit = NEVER,
    all_registrations: Limit = NEVER,
    top_ups: Limit = NEVER,
    session_refreshes: Limit = NEVER,
    address_refreshes: Limit = NEVER,
    session_idle_s: float = math.inf,
    fresh_sign_in_s: float = 600,
    page_events: Limit = NEVER,
    admin_reads_texts: bool = False,
    **more: Any,
) -> World:
    """Every use case over the ports given, in memory where none is.

    Worlds that share a store need `ids` of their own, as processes have. `more` are further ports.
    """
    store, engine = store or MemoryStore(), engine or InstantEngine(catalogue)
    clock = clock or ManualClock()
    ports = Ports(
        store=store,
        engine=engine,
        catalogue=catalogue,
        payments=(provider or SandboxPayments()) if sells else None,
        passwords=passwords or PlainPasswords(),
        tokens=tokens or PlainTokens(),
        secrets=PlainSecrets(),
        one_time_codes=PlainOneTimeCodes(),
        rate_limits=rate_limits or FreeRateLimits(),
        clock=clock,
        new_id=CountingIds(ids),
        mailer=mailer,
        **more,
    )
    policy = Policy(
        admin_reads_texts=admin_reads_texts,
        prices=prices,
        welcome_credits=welcome_credits,
        welcome_after_verification=welcome_after_verification,
        max_debt=max_debt,
        cached_price_percent=cached_price_percent,
        replies_per_user=per_user,
        unpaid_replies_per_hour=unpaid_replies,
        unpaid_tokens_per_hour=unpaid_tokens,
        unpaid_kib_per_hour=unpaid_kib,
        settle_attempts=3,
        bounds=ReplyBounds(
            deadline_s=deadline_s,
            grace_s=grace_s,
            max_message_chars=max_message_chars,
            max_reply_tokens=512,
            rate=NEVER,
            first_token_s=first_token_s,
        ),
        lifetimes=TokenLifetimes(access_s=3_600, refresh_s=86_400),
        sign_in_failures=Limit(name="failures", times=10, window_s=300),
        registrations=registrations,
        network_registrations=network_registrations,
        all_registrations=all_registrations,
        api_keys=NEVER,
        top_ups=top_ups,
        session_refreshes=session_refreshes,
        address_refreshes=address_refreshes,
        session_idle_s=session_idle_s,
        fresh_sign_in_s=fresh_sign_in_s,
        page_events=page_events,
        address_page_events=NEVER,
    )
    use_cases = assemble(ports, policy)
    return World(ports=ports, policy=policy, use_cases=use_cases, store=store, engine=engine, clock=clock)
