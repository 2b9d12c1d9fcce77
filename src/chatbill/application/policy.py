"""The rules of one deployment: prices, limits and lifetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from chatbill.application.ports.rate_limits import Limit
from chatbill.application.shared.bounds import AlertBounds, PasswordBounds, ReplyBounds, TokenLifetimes
from chatbill.domain.billing.payments import Money, PriceList

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Prices, limits and lifetimes; the defaults are those of the settings.

    `max_debt` is in credits. `sweep_allowance_s` is how long a hold past its time may await the sweep before the audit
    counts it as lost. `replies_per_user` bounds the replies of one person at once, `unpaid_replies_per_hour` and
    `unpaid_tokens_per_hour` those that end unpaid, and `unpaid_kib_per_hour` their messages; 0 is no bound. A session
    that is not used for `session_idle_s` ends. A sign-in is recent for `fresh_sign_in_s`. Texts are blanked after
    `keep_texts_days`; 0 keeps them.
    With a place for backups, one is made each `backup_every_hours`.
    """

    prices: PriceList = PriceList(packages=(), unit_price=Money(Decimal("0.01"), "EUR"))
    welcome_credits: int = 100
    registration_open: bool = True
    admin_reads_texts: bool = False
    max_debt: int = 0
    cached_price_percent: int = 100
    replies_per_user: int = 0
    unpaid_replies_per_hour: int = 30
    unpaid_tokens_per_hour: int = 10_000
    unpaid_kib_per_hour: int = 4_096
    sweep_allowance_s: float = 0
    settle_attempts: int = 8
    bounds: ReplyBounds = field(
        default_factory=lambda: ReplyBounds(
            deadline_s=120,
            grace_s=30,
            max_message_chars=32_000,
            max_reply_tokens=512,
            rate=Limit(name="messages", times=60, window_s=60),
        )
    )
    lifetimes: TokenLifetimes = TokenLifetimes(access_s=900, refresh_s=30 * DAY_S)
    session_idle_s: float = 7 * DAY_S
    fresh_sign_in_s: float = 600
    web_lifetimes: TokenLifetimes = TokenLifetimes(access_s=30 * DAY_S, refresh_s=30 * DAY_S)
    sign_in_failures: Limit = Limit(name="sign-in failures", times=10, window_s=300)
    address_failures: Limit = Limit(name="sign-in failures of an address", times=30, window_s=300)
    name_failures: Limit = Limit(name="sign-in failures of a name", times=100, window_s=300)
    forgotten_passwords: Limit = Limit(name="forgotten passwords", times=20, window_s=3_600)
    all_forgotten_passwords: Limit = Limit(name="forgotten passwords in all", times=1_000, window_s=3_600)
    letters_of_person: Limit = Limit(name="letters of a person", times=3, window_s=3_600)
    welcome_after_verification: bool = False
    code_failures: Limit = Limit(name="wrong codes", times=20, window_s=DAY_S, reason="too_many_codes")
    all_code_failures: Limit = Limit(
        name="wrong codes in all", times=300, window_s=3_600, reason="too_many_codes_in_all"
    )
    second_factors: Limit = Limit(name="second factors", times=60, window_s=3_600)
    passwords: PasswordBounds = field(default_factory=PasswordBounds)
    registrations: Limit = Limit(name="registrations", times=60, window_s=3_600, reason="too_many_registrations")
    network_registrations: Limit = Limit(
        name="registrations of a network", times=240, window_s=3_600, reason="too_many_registrations"
    )
    all_registrations: Limit = Limit(
        name="registrations in all", times=2_000, window_s=3_600, reason="too_many_registrations_in_all"
    )
    session_refreshes: Limit = Limit(name="refreshes of a session", times=20, window_s=300)
    address_refreshes: Limit = Limit(name="refreshes of an address", times=300, window_s=300)
    own_reports: Limit = Limit(name="own reports", times=60, window_s=60)
    quotes: Limit = Limit(name="quotes", times=120, window_s=60)
    keep_texts_days: int = 0
    backup_every_hours: int = 24
    alerts: AlertBounds = AlertBounds()
    top_ups: Limit = Limit(name="top-ups", times=60, window_s=3_600)
    api_keys: Limit = Limit(name="API keys", times=60, window_s=3_600)
    account_changes: Limit = Limit(name="changes of an account", times=60, window_s=3_600)
    page_events: Limit = Limit(name="events of the page", times=300, window_s=60)
    address_page_events: Limit = Limit(name="events of the page from an address", times=3_000, window_s=60)
