"""Make the policy of a deployment from its settings."""

from __future__ import annotations

import os
from dataclasses import replace

from chatbill.application.policy import Policy
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.shared.bounds import AlertBounds, PasswordBounds, ReplyBounds, TokenLifetimes
from chatbill.settings import Settings

PASSWORDS_AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Half of the cores, so that sign-ins leave the others to signed-in people."""


def policy_of(settings: Settings) -> Policy:
    """Return the policy."""
    return _with_public_limits(_without_public_limits(settings), settings)


def _without_public_limits(settings: Settings) -> Policy:
    return Policy(
        prices=settings.price_list(),
        welcome_credits=settings.welcome_credits,
        keep_texts_days=settings.keep_texts_days,
        backup_every_hours=settings.backup_every_hours,
        alerts=AlertBounds(
            queued=max(1, settings.queue_size * 4 // 5),
            slow_ms=settings.generation_timeout_s * 800,
            credits=settings.alert_credits,
            backup_age_s=2 * 3_600 * settings.backup_every_hours,
        ),
        registration_open=settings.registration_open,
        admin_reads_texts=settings.admin_reads_texts,
        max_debt=settings.max_debt_credits,
        cached_price_percent=settings.cached_price_percent,
        replies_per_user=settings.replies_per_user,
        unpaid_replies_per_hour=settings.unpaid_replies_per_hour,
        unpaid_tokens_per_hour=settings.unpaid_tokens_per_hour,
        unpaid_kib_per_hour=settings.unpaid_kib_per_hour,
        # A hold that is past its time may wait for two sweeps before the audit calls it lost.
        sweep_allowance_s=2 * settings.sweep_interval_s + 1,
        bounds=ReplyBounds(
            deadline_s=settings.generation_timeout_s,
            grace_s=settings.hold_grace_s,
            max_message_chars=settings.max_message_chars,
            max_reply_tokens=settings.max_reply_tokens,
            rate=Limit(name="messages", times=settings.messages_per_minute, window_s=60),
            first_token_s=settings.first_token_timeout_s,
        ),
        lifetimes=TokenLifetimes(access_s=settings.access_token_s, refresh_s=settings.refresh_token_s),
        session_idle_s=settings.session_idle_s,
        fresh_sign_in_s=settings.fresh_sign_in_s,
        web_lifetimes=TokenLifetimes(access_s=settings.refresh_token_s, refresh_s=settings.refresh_token_s),
        welcome_after_verification=settings.welcome_after_verification,
        top_ups=Limit(name="top-ups", times=settings.top_ups_per_hour, window_s=3_600),
    )


def _with_public_limits(policy: Policy, settings: Settings) -> Policy:
    """Return it with the limits of what needs no sign-in."""
    return replace(
        policy,
        sign_in_failures=Limit(name="sign-in failures", times=settings.sign_in_failures, window_s=300),
        address_failures=Limit(
            name="sign-in failures of an address", times=settings.sign_in_failures_per_address, window_s=300
        ),
        name_failures=Limit(name="sign-in failures of a name", times=10 * settings.sign_in_failures, window_s=300),
        passwords=_password_bounds(settings),
        forgotten_passwords=Limit(
            name="forgotten passwords", times=settings.forgotten_passwords_per_hour, window_s=3_600
        ),
        all_forgotten_passwords=Limit(
            name="forgotten passwords in all", times=50 * settings.forgotten_passwords_per_hour, window_s=3_600
        ),
        registrations=Limit(
            name="registrations",
            times=settings.registrations_per_hour,
            window_s=3_600,
            reason="too_many_registrations",
        ),
        network_registrations=Limit(
            name="registrations of a network",
            times=4 * settings.registrations_per_hour,
            window_s=3_600,
            reason="too_many_registrations",
        ),
        all_registrations=Limit(
            name="registrations in all",
            times=settings.registrations_in_all_per_hour,
            window_s=3_600,
            reason="too_many_registrations_in_all",
        ),
        session_refreshes=Limit(name="refreshes of a session", times=settings.refreshes_per_session, window_s=300),
        address_refreshes=Limit(name="refreshes of an address", times=settings.refreshes_per_address, window_s=300),
    )


def _password_bounds(settings: Settings) -> PasswordBounds:
    times = settings.passwords_per_address
    return PasswordBounds(
        at_once=PASSWORDS_AT_ONCE,
        per_origin=Limit(name="passwords of an origin", times=times, window_s=60),
        in_all=Limit(name="passwords", times=10 * times, window_s=60),
    )
