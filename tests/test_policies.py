"""The policy of a service: the limits that its settings name, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from chatbill.application.policy import Policy
from chatbill.application.ports.rate_limits import Limit
from chatbill.policies import policy_of
from chatbill.settings import load_settings


def policy(**variables: str) -> Policy:
    """Return the policy of a service with these settings alone. The names are without the prefix."""
    return policy_of(load_settings({f"CHATBILL_{name}": value for name, value in variables.items()}, env_file=None))


def test_a_service_without_settings_has_every_limit() -> None:
    made, default = policy(), Policy()
    limits = [each.name for each in fields(Policy) if isinstance(getattr(default, each.name), Limit)]
    assert len(limits) > 15
    for name in limits:
        assert getattr(made, name) == getattr(default, name), name
    for bound in (made.bounds.rate, made.passwords.per_origin, made.passwords.in_all):
        assert bound.times > 0, bound.name
    assert made.replies_per_user > 0
    assert not made.admin_reads_texts


@pytest.mark.parametrize(
    ("setting", "applied"),
    [
        ("SIGN_IN_FAILURES", lambda made: made.sign_in_failures.times),
        ("SIGN_IN_FAILURES", lambda made: made.name_failures.times / 10),
        ("SIGN_IN_FAILURES_PER_ADDRESS", lambda made: made.address_failures.times),
        ("PASSWORDS_PER_ADDRESS", lambda made: made.passwords.per_origin.times),
        ("PASSWORDS_PER_ADDRESS", lambda made: made.passwords.in_all.times / 10),
        ("MESSAGES_PER_MINUTE", lambda made: made.bounds.rate.times),
        ("REPLIES_PER_USER", lambda made: made.replies_per_user),
        ("UNPAID_REPLIES_PER_HOUR", lambda made: made.unpaid_replies_per_hour),
        ("UNPAID_TOKENS_PER_HOUR", lambda made: made.unpaid_tokens_per_hour),
        ("UNPAID_KIB_PER_HOUR", lambda made: made.unpaid_kib_per_hour),
        ("REGISTRATIONS_PER_HOUR", lambda made: made.registrations.times),
        ("REGISTRATIONS_PER_HOUR", lambda made: made.network_registrations.times / 4),
        ("REGISTRATIONS_IN_ALL_PER_HOUR", lambda made: made.all_registrations.times),
        ("REFRESHES_PER_SESSION", lambda made: made.session_refreshes.times),
        ("REFRESHES_PER_ADDRESS", lambda made: made.address_refreshes.times),
        ("TOP_UPS_PER_HOUR", lambda made: made.top_ups.times),
        ("FORGOTTEN_PASSWORDS_PER_HOUR", lambda made: made.forgotten_passwords.times),
        ("SESSION_IDLE_S", lambda made: made.session_idle_s),
        ("FRESH_SIGN_IN_S", lambda made: made.fresh_sign_in_s),
        ("WELCOME_CREDITS", lambda made: made.welcome_credits),
        ("MAX_DEBT_CREDITS", lambda made: made.max_debt),
        ("MAX_MESSAGE_CHARS", lambda made: made.bounds.max_message_chars),
        ("MAX_REPLY_TOKENS", lambda made: made.bounds.max_reply_tokens),
        ("GENERATION_TIMEOUT_S", lambda made: made.bounds.deadline_s),
        ("ACCESS_TOKEN_S", lambda made: made.lifetimes.access_s),
        ("REFRESH_TOKEN_S", lambda made: made.web_lifetimes.access_s),
    ],
)
def test_a_service_applies_each_limit_of_its_settings(setting: str, applied: Callable[[Policy], float]) -> None:
    assert applied(policy(**{setting: "77"})) == 77


def test_a_service_does_as_its_settings_say_about_people_and_texts() -> None:
    made = policy(REGISTRATION_OPEN="false", ADMIN_READS_TEXTS="true", WELCOME_AFTER_VERIFICATION="false")
    assert (made.registration_open, made.admin_reads_texts, made.welcome_after_verification) == (False, True, False)
