"""Runs the migrations on the connection that the caller has opened. Alembic executes this file for every command.

Use `chatbill db upgrade` to run it; see `chatbill.adapters.persistence.sql.schema`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise TypeError("The migrations run on an open connection: use `chatbill db upgrade`.")

context.configure(
    connection=connection,
    version_table=context.config.attributes["version_table"],
    # Both databases roll back changes of tables, so all steps are kept together or not at all. The caller commits.
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
