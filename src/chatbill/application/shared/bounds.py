"""Bounds of sign-ins, passwords and replies, which the policy of a deployment sets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chatbill.application.ports.rate_limits import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLifetimes:
    """The lifetimes of tokens, in seconds. A session ends with its last refresh token."""

    access_s: int
    refresh_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordBounds:
    """Limits on the work on passwords: how many are hashed or checked at once, and how many wait, in all and each.

    The limits bound how often one origin may ask for such work, and all of them together.
    """

    at_once: int = 1
    waiting: int = 128
    waiting_each: int = 64
    per_origin: Limit = Limit(name="passwords of an origin", times=600, window_s=60)
    in_all: Limit = Limit(name="passwords", times=6_000, window_s=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBounds:
    """Limits on every reply.

    A reply may take `deadline_s` seconds, waiting included, and `first_token_s` of them until its first token; its hold
    lives `grace_s` longer. `max_message_chars` and `max_reply_tokens` bound what goes in and what comes out. `rate`
    bounds how often one person may ask.
    """

    deadline_s: float
    grace_s: float
    max_message_chars: int
    max_reply_tokens: int
    rate: Limit
    first_token_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertBounds:
    """When something is wrong enough for an alert. 0 switches an alert off.

    `error_percent` of at least `least_requests` requests failed; `queued` requests wait for a model; the slowest of
    `least_replies` replies took `slow_ms`; less than `disk_percent` of the disk is free; a job is due for `due_s`;
    `refused_sign_ins` of a process, or `refused_per_address`, were refused within ten minutes; a refund or an
    adjustment moved as many `credits`; the last backup is older than `backup_age_s`.
    """

    error_percent: float = 5
    least_requests: int = 20
    queued: int = 80
    least_replies: int = 10
    slow_ms: float = 96_000
    disk_percent: float = 5
    due_s: float = 900
    refused_sign_ins: int = 100
    refused_per_address: int = 20
    credits: int = 10_000
    backup_age_s: float = 172_800
