"""Alembic runs this for every command: the steps are taken on the connection that the caller has opened.

`chatbill db upgrade` is the way to call it; see `chatbill.adapters.persistence.sql.schema`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise TypeError("The migrations run on an open connection: use `chatbill db upgrade`.")

context.configure(
    connection=connection,
    # Both databases roll back changes of tables, so all steps are kept together or not at all. The caller commits.
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
