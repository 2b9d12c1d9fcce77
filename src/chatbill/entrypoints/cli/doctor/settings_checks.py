"""Checks that look at the settings alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from chatbill.entrypoints.cli.doctor.findings import Bad, Surroundings, error, warning

LEAST_CHARACTERS: Final = 8
"""A secret with fewer different characters was typed, not drawn."""
_DEFAULTS: Final = ("change", "secret", "password", "example")


def payments(around: Surroundings) -> Iterator[Bad]:
    """Payments take money."""
    settings = around.settings
    if settings.payment_provider == "sandbox" and settings.models != "demo":
        yield error("People get credits without paying: payments are a sandbox.", "Set CHATBILL_PAYMENTS=none.")


def encryption(around: Surroundings) -> Iterator[Bad]:
    """Passwords are encrypted on their way."""
    if around.url and urlsplit(around.url).scheme == "http" and not _is_local(urlsplit(around.url).hostname or ""):
        yield error(
            f"Passwords go to {around.url} without encryption.",
            "Put a proxy with TLS before the service; see docs/operators.md, Behind a reverse proxy.",
        )
    settings = around.settings
    if not _is_local(settings.host) and not settings.trusted_proxies:
        yield warning(
            f"The service listens on {settings.host} without a trusted proxy, so clients can reach it without TLS.",
            "Set CHATBILL_HOST=127.0.0.1, or CHATBILL_TRUSTED_PROXIES to the address of your proxy.",
        )


def secrets(around: Surroundings) -> Iterator[Bad]:
    """Secrets cannot be guessed."""
    settings = around.settings
    given = {
        "CHATBILL_SECRET_KEY": settings.secret_key,
        "CHATBILL_METRICS_TOKEN": settings.metrics_token,
        "CHATBILL_ALERT_WEBHOOK_SECRET": settings.alert_webhook_secret,
    }
    for name, secret in given.items():
        text = secret.get_secret_value() if secret else None
        if text and (len(set(text)) < LEAST_CHARACTERS or any(word in text.lower() for word in _DEFAULTS)):
            yield error(
                f"{name} can be guessed.",
                'Draw a new one: python -c "import secrets; print(secrets.token_urlsafe(48))"',
            )


def processes(around: Surroundings) -> Iterator[Bad]:
    """The database is made for as many processes as use it."""
    settings = around.settings
    if settings.database.startswith("sqlite") and not settings.run_jobs:
        yield warning(
            "A worker beside the service shares an SQLite file, where each waits for the other.",
            "Set CHATBILL_RUN_JOBS=true, or move to PostgreSQL.",
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
