"""Reads which revision a database is at, from a version table of chatbill's own.

Up to revision 0007 chatbill used Alembic's `alembic_version`, which is also where an app keeps its own revision.
"""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from chatbill.adapters.persistence.sql.prefix import VERSION_TABLE, Prefix
from chatbill.application.ports.store import StoreUnavailable

_COMPATIBILITY = "compatibility"
_FORMER_TABLE = "alembic_version"
_FORMER_REVISIONS = frozenset({"0001", "0002", "0003", "0004", "0005", "0006", "0007"})
_SINCE_0001 = frozenset({"wallets", "ledger_entries"})


class SchemaMismatch(StoreUnavailable):
    """Raised when the database lacks the schema that this program needs. The message says what to do."""


def revision_of(connection: Connection, prefix: Prefix) -> str | None:
    """Return the revision of chatbill's tables in this database; None where there are none.

    Raises `SchemaMismatch` where the tables that the version table tells of have another prefix.
    """
    tables = set(inspect(connection).get_table_names())
    if prefix.of(VERSION_TABLE) not in tables:
        return _former_revision(connection, prefix, tables)
    found = version_context(connection, prefix).get_current_revision()
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


def version_context(connection: Connection, prefix: Prefix) -> MigrationContext:
    """Return Alembic's view of the database, with chatbill's version table."""
    return MigrationContext.configure(connection, opts={"version_table": prefix.of(VERSION_TABLE)})


def prepare_version_table(connection: Connection, prefix: Prefix, scripts: ScriptDirectory) -> None:
    """Move the revision that an older chatbill left in `alembic_version`; refuse names that are taken.

    Rows of an app in `alembic_version` stay; the table is dropped once it is empty. Raises `SchemaMismatch` where the
    tables are not there yet and other tables have their names.
    """
    tables = set(inspect(connection).get_table_names())
    if prefix.of(VERSION_TABLE) in tables:
        return
    former = _former_revision(connection, prefix, tables)
    if former is None:
        _require_free_names(prefix, tables)
        return
    version_context(connection, prefix).stamp(scripts, former)
    connection.exec_driver_sql(f"DELETE FROM {_FORMER_TABLE} WHERE version_num = '{former}'")  # noqa: S608 - our own
    if not connection.exec_driver_sql(f"SELECT count(*) FROM {_FORMER_TABLE}").scalar_one():  # noqa: S608 - our own
        connection.exec_driver_sql(f"DROP TABLE {_FORMER_TABLE}")


def _former_revision(connection: Connection, prefix: Prefix, tables: set[str]) -> str | None:
    """Return the revision that an older chatbill, which knew no prefix, left in `alembic_version`."""
    if prefix.text or not tables >= {_FORMER_TABLE, *_SINCE_0001}:
        return None
    rows = connection.exec_driver_sql(f"SELECT version_num FROM {_FORMER_TABLE}").scalars()  # noqa: S608 - our own
    return next((revision for revision in rows if revision in _FORMER_REVISIONS), None)


def _require_free_names(prefix: Prefix, tables: set[str]) -> None:
    if taken := sorted(prefix.tables() & tables):
        raise SchemaMismatch(
            f"Tables that are not chatbill's already exist under names that it needs: {', '.join(taken)}. "
            "Give chatbill's tables a prefix of their own, as in CHATBILL_DATABASE_PREFIX=chatbill_."
        )
