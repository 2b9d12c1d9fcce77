"""Runs the migrations, which are steps from one revision to the next, on a connection that is open. Imports Alembic."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, VERSION_TABLE, Prefix
from chatbill.adapters.persistence.sql.revisions import FORMER_TABLE, SchemaMismatch, folder, former_revision


def scripts() -> ScriptDirectory:
    """Return the steps as Alembic reads them."""
    return ScriptDirectory.from_config(_config())


def upgrade(connection: Connection, prefix: Prefix, revision: str) -> None:
    """Run all missing steps up to this revision. Raises `SchemaMismatch` where other tables have the names."""
    _prepare_version_table(connection, prefix)
    command.upgrade(_config(connection, prefix), revision)


def downgrade(connection: Connection, prefix: Prefix, revision: str) -> None:
    """Take back all steps after this revision. Raises `SchemaMismatch` where other tables have the names."""
    _prepare_version_table(connection, prefix)
    command.downgrade(_config(connection, prefix), revision)


def differences(connection: Connection, prefix: Prefix) -> list[Any]:
    """Return what Alembic would change to make chatbill's tables in the database equal to those of the program."""
    options = {
        "compare_type": True,
        "version_table": prefix.of(VERSION_TABLE),
        "include_name": lambda name, kind, _parents: kind != "table" or prefix.owns(name),
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), prefix.metadata()))


def _config(connection: Connection | None = None, prefix: Prefix = NO_PREFIX) -> Config:
    config = Config(
        attributes={"connection": connection, "prefix": prefix.text, "version_table": prefix.of(VERSION_TABLE)}
    )
    # The interpolation of configuration files would trip over a percent sign.
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    return config


def _prepare_version_table(connection: Connection, prefix: Prefix) -> None:
    """Move the revision that an older chatbill left in `alembic_version`; refuse names that are taken.

    Rows of an app in `alembic_version` stay; the table is dropped once it is empty. Raises `SchemaMismatch` where the
    tables are not there yet and other tables have their names.
    """
    tables = set(inspect(connection).get_table_names())
    if prefix.of(VERSION_TABLE) in tables:
        return
    former = former_revision(connection, prefix, tables)
    if former is None:
        _require_free_names(prefix, tables)
        return
    MigrationContext.configure(connection, opts={"version_table": prefix.of(VERSION_TABLE)}).stamp(scripts(), former)
    connection.exec_driver_sql(f"DELETE FROM {FORMER_TABLE} WHERE version_num = '{former}'")  # noqa: S608 - our own
    if not connection.exec_driver_sql(f"SELECT count(*) FROM {FORMER_TABLE}").scalar_one():  # noqa: S608 - our own
        connection.exec_driver_sql(f"DROP TABLE {FORMER_TABLE}")


def _require_free_names(prefix: Prefix, tables: set[str]) -> None:
    if taken := sorted(prefix.tables() & tables):
        raise SchemaMismatch(
            f"Tables that are not chatbill's already exist under names that it needs: {', '.join(taken)}. "
            "Give chatbill's tables a prefix of their own, as in CHATBILL_DATABASE_PREFIX=chatbill_."
        )
