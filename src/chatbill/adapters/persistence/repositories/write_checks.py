"""Insert a row and delete it again, to check that the database keeps what is written."""

from __future__ import annotations

from sqlalchemy import Delete

from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, equals, insert
from chatbill.adapters.persistence.sql.tables import write_checks

PADDING = "x" * 16_384
"""More than a page, so that a database which cannot grow is noticed, as a charge would notice it."""

_ADD = insert(write_checks)
_REMOVE = Statement(Delete(write_checks).where(equals(write_checks.c.id)))


class SqlWriteChecks:
    """Writes to a table that is always empty between transactions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, check_id: str) -> None:
        self._connection.check_files()
        self._connection.run(_ADD, id=check_id, padding=PADDING)
        self._connection.run(_REMOVE, id=check_id)
