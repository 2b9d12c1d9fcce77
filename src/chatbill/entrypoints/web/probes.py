"""Tells the doctor of the same operator what the service sees of a request, and any other client nothing.

A request is answered if it has a signature of the moment by the key of the service.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

HEADER: Final = "X-Chatbill-Probe"
PATH: Final = "/health/seen"
VALID_S: Final = 60
TIMEOUT_S: Final = 15.0
MAX_ANSWER: Final = 4_096
_SUBJECT: Final = b"chatbill probe "


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the service sees of a request. `ignored` are forwarding headers of a peer that is not trusted.

    `clock_ahead_s` is by how much this machine's clock is ahead of the one that dated the answer.
    """

    scheme: str
    host: str
    client: str
    ignored: tuple[str, ...]
    clock_ahead_s: float | None = None


def signature(key: bytes, moment_s: int) -> str:
    """Return the value of the header for a request at this moment, in seconds since 1970."""
    digest = hmac.new(key, _SUBJECT + str(moment_s).encode(), hashlib.sha256).hexdigest()
    return f"{moment_s}.{digest}"


def is_signed(key: bytes, value: str, *, now_s: float) -> bool:
    """Return True if the header was signed by this key within a minute."""
    moment, _, _ = value.partition(".")
    if not (moment.isascii() and moment.isdigit() and len(moment) <= 12):  # noqa: PLR2004 - digits until far years
        return False
    if abs(now_s - int(moment)) > VALID_S:
        return False
    return hmac.compare_digest(signature(key, int(moment)).encode(), value.encode("utf-8", "replace"))


async def ask(url: str, key: bytes, headers: dict[str, str]) -> Seen:
    """Ask the service at its public address what it sees. Raises `OSError` with the reason if it does not say it."""
    import aiohttp  # noqa: PLC0415 - only the doctor asks, and a service answers without it

    signed = {**headers, HEADER: signature(key, int(time.time()))}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url.rstrip("/") + PATH, headers=signed, allow_redirects=False) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 - HTTP's
                raise OSError(f"status {answer.status}")
            text = await answer.content.read(MAX_ANSWER)
            return _read(text, answer.headers.get("Date"))
    except TimeoutError:
        raise OSError(f"no answer within {TIMEOUT_S:g} s") from None
    except (aiohttp.ClientError, ValueError, TypeError, KeyError) as error:
        raise OSError(str(error) or type(error).__name__) from error


def _read(text: bytes, date: str | None) -> Seen:
    values: dict[str, Any] = json.loads(text)
    ahead_s = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds() if date else None
    return Seen(
        scheme=str(values["scheme"]),
        host=str(values["host"]),
        client=str(values["client"]),
        ignored=tuple(map(str, values["ignored"])),
        clock_ahead_s=ahead_s,
    )
