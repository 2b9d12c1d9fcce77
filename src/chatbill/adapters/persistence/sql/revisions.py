"""Reads which revision a database is at, from a version table of chatbill's own, and which ones this program knows.

Up to revision 0007 chatbill used Alembic's `alembic_version`, which is also where an app keeps its own revision.
Alembic itself takes long to import, and only a change of the schema needs it: see `steps`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

from chatbill.adapters.persistence.sql.prefix import VERSION_TABLE, Prefix
from chatbill.application.ports.store import StoreUnavailable

_COMPATIBILITY = "compatibility"
FORMER_TABLE = "alembic_version"
_FORMER_REVISIONS = frozenset({"0001", "0002", "0003", "0004", "0005", "0006", "0007"})
_SINCE_0001 = frozenset({"wallets", "ledger_entries"})


class SchemaMismatch(StoreUnavailable):
    """Raised when the database lacks the schema that this program needs. The message says what to do."""


def folder() -> Path:
    """Return where the migrations are: in the package when it is installed, and at the top of a checkout."""
    package = Path(__file__).parents[3]
    for place in (package / "migrations", package.parents[1] / "migrations"):
        if (place / "env.py").is_file():
            return place
    raise SchemaMismatch("This installation has no migrations. Install chatbill again.")


def known() -> list[str]:
    """Return every revision that this program knows, oldest first, by the names of the files: `v0001_first_books.py`.

    Raises `SchemaMismatch` if there is none.
    """
    if revisions := sorted(file.name[1:5] for file in (folder() / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py")):
        return revisions
    raise SchemaMismatch("This installation has no migrations.")


def revision_of(connection: Connection, prefix: Prefix) -> str | None:
    """Return the revision of chatbill's tables in this database; None where there are none.

    Raises `SchemaMismatch` where the tables that the version table tells of have another prefix.
    """
    tables = set(inspect(connection).get_table_names())
    if prefix.of(VERSION_TABLE) not in tables:
        return former_revision(connection, prefix, tables)
    found = connection.exec_driver_sql(f"SELECT version_num FROM {prefix.of(VERSION_TABLE)}").scalar()  # noqa: S608 - our own
    if found is not None and prefix.of("wallets") not in tables:
        raise SchemaMismatch(
            f"The database is at revision {found} and has no table {prefix.of('wallets')}. "
            "Its tables may have another prefix: check CHATBILL_DATABASE_PREFIX."
        )
    return found


def may_run_on(connection: Connection, prefix: Prefix, newest_known: str) -> bool:
    """Return whether a program that knows this revision may run on a schema that is newer.

    The newer program that upgraded the schema has written which is the oldest program that may.
    """
    if prefix.of(_COMPATIBILITY) not in inspect(connection).get_table_names():
        return False
    oldest = connection.exec_driver_sql(f"SELECT oldest_program FROM {prefix.of(_COMPATIBILITY)}").scalar()  # noqa: S608 - our own
    return oldest is not None and str(oldest) <= newest_known


def former_revision(connection: Connection, prefix: Prefix, tables: set[str]) -> str | None:
    """Return the revision that an older chatbill, which knew no prefix, left in `alembic_version`."""
    if prefix.text or not tables >= {FORMER_TABLE, *_SINCE_0001}:
        return None
    rows = connection.exec_driver_sql(f"SELECT version_num FROM {FORMER_TABLE}").scalars()  # noqa: S608 - our own
    return next((revision for revision in rows if revision in _FORMER_REVISIONS), None)
