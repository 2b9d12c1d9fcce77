"""Makes and sets up connections to PostgreSQL."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from chatbill.adapters.persistence.postgres.connection import PostgresConnection
from chatbill.adapters.persistence.postgres.errors import translated, unreachable
from chatbill.adapters.persistence.sql.connection import Database
from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, Prefix
from chatbill.application.ports.store import StoreUnavailable

CASEFOLD_SINCE = 180_000
"""The first version of the server that has `casefold`: PostgreSQL 18."""

NETWORK_DEFAULTS = {
    "connect_timeout": 5,
    # A lost network connection is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "chatbill",
}
"""Defaults that the address may override, as in `postgresql://host/name?connect_timeout=20`.

Times are in seconds, `tcp_user_timeout` is in milliseconds.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds: how long a statement may run or wait for a lock, and how long a transaction may be idle.

    A server that hangs enforces no limits, so a connection is closed after `answer_within_s` without an answer.
    """

    statement_timeout_s: float = 30.0
    lock_timeout_s: float = 5.0
    idle_in_transaction_timeout_s: float = 60.0
    answer_within_s: float = 35.0


DEFAULT_TIMEOUTS = Timeouts()
"""Limits for a service whose transactions take milliseconds."""

PROBE_TIMEOUTS = Timeouts(
    statement_timeout_s=4, lock_timeout_s=2, idle_in_transaction_timeout_s=10, answer_within_s=1.5
)
"""Limits for probes and leases, which are repeated every few seconds."""


def load_driver() -> ModuleType:
    """Return psycopg 3, an optional dependency. Raises `StoreUnavailable` that says what to install."""
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise StoreUnavailable("PostgreSQL needs one more package: pip install 'chatbill[postgres]'") from error


def postgres_database(driver: ModuleType, prefix: Prefix = NO_PREFIX) -> Database:
    """Return what all connections of a store share: the dialect, the driver, its error translation and the prefix."""
    return Database(dialect_of(), driver, translate=partial(translated, driver=driver), prefix=prefix)


def connect(address: URL, driver: ModuleType) -> Any:
    """Return a psycopg connection in UTF-8 and autocommit mode, with `NETWORK_DEFAULTS`. Raises `StoreUnavailable`."""
    return _connect(address, driver, driver.Connection)


def connect_for_store(database: Database, address: URL, timeouts: Timeouts) -> PostgresConnection:
    """Return a connection that commits durably, and waits no longer than `timeouts`. Raises `StoreUnavailable`."""
    from chatbill.adapters.persistence.postgres.bounded import BoundedConnection  # noqa: PLC0415 - needs psycopg
    from chatbill.adapters.persistence.postgres.pipeline import Pipeline  # noqa: PLC0415 - needs psycopg

    driver: Any = database.driver
    raw = _connect(address, driver, BoundedConnection)
    raw.answer_within_s = timeouts.answer_within_s
    # All integers are sent as one type, so that a statement is prepared once for integers of every size.
    raw.adapters.register_dumper(int, importlib.import_module("psycopg.types.numeric").Int8Dumper)
    try:
        folding = _set_up(raw, timeouts)
    except driver.Error as error:
        raw.close()
        raise unreachable(error) from None
    database.use(dialect_of(folding))
    return PostgresConnection(database, raw, Pipeline(raw), answer_within_s=timeouts.answer_within_s)


def connect_arguments(address: URL) -> dict[str, Any]:
    """Return psycopg's arguments for an address, with `NETWORK_DEFAULTS`."""
    _, arguments = dialect_of().create_connect_args(address)  # type: ignore[no-untyped-call]
    return {**NETWORK_DEFAULTS, **arguments}


def _connect(address: URL, driver: ModuleType, connection_class: Any) -> Any:
    arguments = connect_arguments(address)
    try:
        return connection_class.connect(**arguments, client_encoding="utf8", autocommit=True)
    except driver.Error as error:
        raise unreachable(error) from None


@cache
def dialect_of(folding: str = "lower({})") -> PGDialect_psycopg:
    """Return the dialect of servers that fold letter case by this expression; see `case_folding`."""
    dialect: PGDialect_psycopg = PGDialect_psycopg()  # type: ignore[no-untyped-call]
    dialect.case_folding = folding  # type: ignore[attr-defined]
    return dialect


def _set_up(raw: Any, timeouts: Timeouts) -> str:
    """Set what the store relies on; return the expression of `case_folding` for this server."""
    row = raw.execute(
        """
        SELECT set_config('TimeZone', 'UTC', false),
               set_config('DateStyle', 'ISO', false),
               set_config('statement_timeout', %(statement)s, false),
               set_config('lock_timeout', %(lock)s, false),
               set_config('idle_in_transaction_session_timeout', %(idle)s, false),
               -- A confirmed commit is on disk. An operator may ask for more, such as a copy on a standby.
               set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                          WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
               EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')
        """,
        {
            "statement": _milliseconds(timeouts.statement_timeout_s),
            "lock": _milliseconds(timeouts.lock_timeout_s),
            "idle": _milliseconds(timeouts.idle_in_transaction_timeout_s),
        },
        prepare=False,
    ).fetchone()
    return case_folding(raw.info.server_version, has_icu=row[-1])


def case_folding(server_version: int, *, has_icu: bool) -> str:
    """Return the SQL expression by which this server folds letter case, with `{}` for the text."""
    if server_version >= CASEFOLD_SINCE:
        # As Python's `casefold`, which the other stores use.
        return "casefold({} COLLATE pg_unicode_fast)"
    # As `casefold`, `upper` leaves one form of sigma and no sharp s. Without ICU, the locale of the database decides.
    return 'upper({} COLLATE "und-x-icu")' if has_icu else "lower({})"


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1_000)))
