"""Brings the schema of a database up to date, takes it back, and says which revision it is at.

Only what changes the schema imports Alembic, which takes longer than most commands otherwise do; see `steps`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from chatbill.adapters.persistence.addresses import parsed, sqlite_path
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sql.revisions import SchemaMismatch, known, may_run_on, revision_of
from chatbill.adapters.persistence.sql.schema_connections import (
    TABLE_TIMEOUT_S,
    connected,
    is_deadlock,
    is_table_in_use,
    lock_tables,
)
from chatbill.application.ports.store import StoreUnavailable

__all__ = ["SchemaMismatch", "advice", "check", "current", "downgrade", "drift", "head", "reading", "upgrade"]

ATTEMPTS = 12
"""How often an upgrade is tried whose tables are in use."""
PAUSE_S = 3.0

TABLE_IN_USE = (
    "The schema was not upgraded, and nothing was changed: other transactions use its tables for longer than "
    f"{TABLE_TIMEOUT_S:g} s at a time, such as a backup or a report. Wait until they end, and start again. "
    "PostgreSQL's view pg_stat_activity has them, with `xact_start`."
)
_log = logging.getLogger(__name__)


def upgrade(url: str, revision: str = "head", *, prefix: str = "") -> None:
    """Bring the database to this revision, and make the tables where there are none.

    All steps are one transaction: they are kept together or not at all. Of two processes that upgrade at once, the
    second waits for the first. Tables of an app stay as they are, and so does a newer schema on which this program may
    run. While another transaction uses a table, the upgrade is tried `ATTEMPTS` times; after a deadlock, it locks all
    tables first. Raises `SchemaMismatch` for a database that is too new for this program or has other tables under the
    names that are needed, `ValueError` for a bad prefix, and `StoreUnavailable`.
    """
    names, lock_first = Prefix(prefix), False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _upgrade(url, revision, names, lock_first=lock_first)
        except StoreUnavailable as error:
            if not is_table_in_use(error):
                raise
            if attempt == ATTEMPTS:
                raise StoreUnavailable(TABLE_IN_USE) from error
            lock_first = lock_first or is_deadlock(error)
            _log.warning("schema_in_use", extra={"attempt": attempt, "attempts": ATTEMPTS})
            time.sleep(PAUSE_S)
        else:
            return


def _upgrade(url: str, revision: str, names: Prefix, *, lock_first: bool) -> None:
    with connected(url, names, to_write=True) as connection:
        if _is_newer(found := _refuse_too_new(connection, names)):
            return
        if lock_first:
            lock_tables(connection, names)
        if revision != "head" or found != head():
            from chatbill.adapters.persistence.sql import steps  # noqa: PLC0415 - imports Alembic

            steps.upgrade(connection, names, revision)
        if revision == "head":
            _renumber_events(connection)
        _check_references(connection)


def downgrade(url: str, revision: str, *, prefix: str = "") -> None:
    """Take the database back to an earlier revision ("base" is before the first). What that one lacks is lost."""
    from chatbill.adapters.persistence.sql import steps  # noqa: PLC0415 - imports Alembic

    names = Prefix(prefix)
    with connected(url, names, to_write=True) as connection:
        if _is_newer(found := revision_of(connection, names)):
            raise SchemaMismatch(_too_new(str(found)))
        steps.downgrade(connection, names, revision)
        _check_references(connection)


def current(url: str, *, prefix: str = "") -> str | None:
    """Return the revision of the database; None where there is no schema, or no database, yet."""
    names = Prefix(prefix)
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        return None
    with connected(url, names, to_write=False) as connection:
        return revision_of(connection, names)


def head() -> str:
    """Return the newest revision that this program knows."""
    return known()[-1]


def check(url: str, *, prefix: str = "") -> None:
    """Raise `SchemaMismatch` unless the database has the schema that this program needs, or a newer one for it too."""
    names = Prefix(prefix)
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        raise SchemaMismatch(
            f"There is no database at {sqlite_path(address)}. Is that the right place? "
            "Run `chatbill db upgrade` if it is."
        )
    with connected(url, names, to_write=False) as connection:
        found = _refuse_too_new(connection, names)
    if found != head() and not _is_newer(found):
        raise SchemaMismatch(
            f"The database is at revision {found or 'none'} and this program needs {head()}. Run `chatbill db upgrade`."
        )


def advice(url: str, *, prefix: str = "") -> str:
    """Return what to do about the revision of the database; nothing where it is that of this program."""
    found, upgrade_it = current(url, prefix=prefix), f"this version needs {head()}; run: chatbill db upgrade"
    if found == head():
        return ""
    if not _is_newer(found):
        return upgrade_it
    try:
        check(url, prefix=prefix)
    except SchemaMismatch as mismatch:
        return str(mismatch)
    return (
        f"newer than this version of chatbill, which knows up to {head()} and can run on it; nothing has to be done, "
        "and `chatbill db upgrade` changes nothing"
    )


@contextmanager
def reading(url: str, prefix: str = "") -> Iterator[Connection]:
    """Yield a connection that reads in one transaction. Raises `StoreUnavailable`."""
    with connected(url, Prefix(prefix), to_write=False) as connection:
        yield connection


def drift(url: str, *, prefix: str = "") -> list[Any]:
    """Return what Alembic would change to make chatbill's tables equal to `tables.metadata`; nothing, if all is well.

    Other tables in the database are not looked at.
    """
    from chatbill.adapters.persistence.sql import steps  # noqa: PLC0415 - imports Alembic

    names = Prefix(prefix)
    with connected(url, names, to_write=False) as connection:
        return steps.differences(connection, names)


def _renumber_events(connection: Connection) -> None:
    """Let readers see the events of a dump that comes from another server, whose transactions had higher numbers."""
    if connection.dialect.name == "sqlite":
        return
    # Roll-ups then read all events again, which changes nothing that they have counted.
    connection.exec_driver_sql(
        "DELETE FROM report_notes WHERE kind = 'state'"
        " AND CAST(split_part(CAST(body AS json) ->> 0, '.', 1) AS bigint)"
        " >= CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    )
    foreign = "transaction_id >= CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    if connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM outbox WHERE {foreign})").scalar_one():  # noqa: S608
        connection.exec_driver_sql("ALTER TABLE outbox DISABLE TRIGGER outbox_stays_as_it_is")
        connection.exec_driver_sql("UPDATE outbox SET transaction_id = 0")
        connection.exec_driver_sql("DELETE FROM report_notes WHERE kind = 'state'")
        connection.exec_driver_sql("ALTER TABLE outbox ENABLE TRIGGER outbox_stays_as_it_is")


def _refuse_too_new(connection: Connection, prefix: Prefix) -> str | None:
    """Return the database's revision. Raises `SchemaMismatch` where this program neither knows it nor may run on it."""
    found = revision_of(connection, prefix)
    if found is not None and _is_newer(found) and not may_run_on(connection, prefix, head()):
        raise SchemaMismatch(_too_new(found))
    return found


def _is_newer(found: str | None) -> bool:
    """Return whether this program does not know the revision."""
    return found is not None and found not in known()


def _too_new(found: str) -> str:
    return (
        f"The database is at revision {found}, which this program does not know (it knows up to {head()}). "
        "It was made by a newer chatbill: install that one, or restore an older backup."
    )


def _check_references(connection: Connection) -> None:
    """Check all references on SQLite, which does not do so while the migrations rebuild tables."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise SchemaMismatch(f"The migration would leave {len(broken)} rows that refer to nothing: {broken[:5]}")
