"""Facts of a database that its operator should know: its version and its clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chatbill.adapters.persistence.addresses import is_postgres, parsed
from chatbill.adapters.persistence.postgres.driver import connect, load_driver
from chatbill.adapters.persistence.sqlite.driver import load_driver as load_sqlite


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """The kind and the version of a database, and how far this machine's clock is ahead of it, in seconds."""

    kind: str
    version: tuple[int, ...]
    clock_ahead_s: float = 0.0


def database_facts(url: str) -> DatabaseFacts:
    """Return the facts of a database; a file of SQLite has the clock of this machine. Raises `StoreUnavailable`."""
    address = parsed(url)
    if not is_postgres(address):
        return DatabaseFacts(kind="sqlite", version=tuple(load_sqlite().sqlite_version_info))
    driver: Any = load_driver()
    with connect(address, driver) as raw:
        asked = time.monotonic()
        (told,) = raw.execute("SELECT clock_timestamp()").fetchone()
        # The answer was on its way for half of this time.
        way_s = (time.monotonic() - asked) / 2
        version = raw.info.server_version
    ahead_s = (datetime.now(UTC) - told).total_seconds() - way_s
    return DatabaseFacts(kind="postgresql", version=(version // 10_000, version % 10_000), clock_ahead_s=ahead_s)
