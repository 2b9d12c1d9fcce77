"""What people set for themselves: language, time zone, limits on their spending, and when a balance is low."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ReasonedError

DEFAULT_ZONE: Final = "UTC"
MAX_ZONE_CHARS: Final = 64
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
"""The usual tags of BCP 47, such as `en`, `ru` and `zh-Hant-TW`."""


class SpendingLimitReached(ReasonedError):
    """A limit that a person has set on their own spending leaves too little; `period` is `day` or `month`.

    `required` is the most that the request can cost, `available` what the limit leaves, `limit` what it is; in credits.
    """

    code = "spending_limit_reached"

    def __init__(self, *, required: int, available: int, limit: int, period: str) -> None:
        self.required, self.available, self.limit, self.period = required, available, limit, period
        super().__init__(required=required, available=available, limit=limit, period=period)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimits:
    """The most credits that a person wants to spend in a day and in a month of their time zone; None is no limit.

    Charges count less refunds, at the time of the entry, and holds of running work count in full.
    """

    day: int | None = None
    month: int | None = None
    time_zone: str = DEFAULT_ZONE

    def periods(self, now: datetime) -> list[tuple[str, int, datetime]]:
        """Return the name, the limit and the first moment of each limited period, the longest first."""
        if self.day is None and self.month is None:
            return []
        zone = zone_named(self.time_zone) or UTC
        midnight = datetime.combine(now.astimezone(zone).date(), time(), zone)
        found = (("month", self.month, midnight.replace(day=1)), ("day", self.day, midnight))
        return [(name, limit, start.astimezone(UTC)) for name, limit, start in found if limit is not None]


NO_LIMITS: Final = SpendingLimits()


def zone_named(name: str) -> ZoneInfo | None:
    """Return the time zone of this name in the IANA database; None without one."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= MAX_ZONE_CHARS else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_fault(name: str) -> Description | None:
    """Return the rule that a time zone breaks: it has a name of the IANA database."""
    return None if zone_named(name) else Description.of("unknown_zone")


def locale_fault(locale: str) -> Description | None:
    """Return the rule that a language breaks: it is a tag of BCP 47."""
    return None if _LOCALE.fullmatch(locale) else Description.of("unknown_locale")


def limit_fault(credits_: int | None) -> Description | None:
    """Return the rule that a limit or threshold breaks: 0 credits or more."""
    if credits_ is None or 0 <= credits_ <= MAX_CREDITS:
        return None
    return Description.of("out_of_range", min=0, max=MAX_CREDITS)
