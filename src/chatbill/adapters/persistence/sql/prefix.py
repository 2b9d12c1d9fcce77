"""A prefix for the names of chatbill's tables, indexes, constraints, triggers and functions.

An app that has its own tables in the same database gives chatbill a prefix, so that no two names are equal. The SQL
of this package and of the migrations is written without one; a prefix is put in when a statement is prepared or a
migration runs. See docs/decisions/0014.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Constraint, ForeignKeyConstraint, Index, MetaData, Table, UniqueConstraint

from chatbill.adapters.persistence.sql.tables import metadata

VERSION_TABLE = "chatbill_version"
MAX_CHARS = 16
"""With it, the longest of our names has fewer than the 63 characters that PostgreSQL allows."""

_ALLOWED = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_CHARS - 2}}}_")
_OWN_WORDS = (
    *metadata.tables,
    *(column.name for table in metadata.tables.values() for column in table.c),
    *("pk_", "fk_", "uq_", "ix_", "ck_", "old_"),
)
"""A prefix must not begin like one of these, because the two could not be distinguished."""
_COLUMNS = frozenset(column.name for table in metadata.tables.values() for column in table.c)
# Text in quotes and comments stay as they are. Every name of ours begins with the name of a table, after the kind of
# a constraint or index if there is one, or with the name of the product. What follows a colon or `%(` is a parameter.
_PARTS = re.compile(
    r"'(?:[^']|'')*'|--[^\n]*"
    rf"|(?<![\w:])(?<!%\()(?P<name>(?:(?:pk|fk|uq|ix|ck)_)?(?:{'|'.join(metadata.tables)})(?:_\w+)?|chatbill_\w+)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The prefix of chatbill's names in a database; "" means no prefix.

    Raises `ValueError` for a prefix that is not up to 16 lower-case letters, digits and underscores, with a letter
    first and an underscore last.
    """

    text: str = ""

    def __post_init__(self) -> None:
        if self.text and not _ALLOWED.fullmatch(self.text):
            raise ValueError(
                f"A prefix of table names must be up to {MAX_CHARS} lower-case letters, digits and underscores, "
                f"with a letter first and an underscore last, as in chatbill_; it is {self.text!r}."
            )

        if self.text and any(name.startswith(self.text) or self.text.startswith(f"{name}_") for name in _OWN_WORDS):
            raise ValueError(f"The prefix {self.text!r} is a beginning of chatbill's own names; choose another one.")

    def of(self, name: str) -> str:
        """Return the name with the prefix. A name that begins with the prefix already is returned as it is."""
        return name if name.startswith(self.text) else f"{self.text}{name}"

    def applied(self, sql: str) -> str:
        """Return the statement with the prefix at each of chatbill's names."""
        return _PARTS.sub(self._replaced, sql) if self.text else sql

    def owns(self, table: str) -> bool:
        """Return whether this is the name of one of chatbill's tables in the database."""
        return table in self.tables()

    def tables(self) -> frozenset[str]:
        """Return the names of all of chatbill's tables in the database."""
        return frozenset(map(self.of, (*metadata.tables, VERSION_TABLE)))

    def metadata(self) -> MetaData:
        """Return tables, columns, references and indexes with their names in the database, for a comparison."""
        if not self.text:
            return metadata
        made = MetaData()
        for table in metadata.sorted_tables:
            Table(self.of(table.name), made, *self._columns(table), *self._constraints(table))
            for index in table.indexes:
                columns = (made.tables[self.of(table.name)].c[column.name] for column in index.columns)
                Index(self.of(str(index.name)), *columns, unique=index.unique)
        return made

    @staticmethod
    def _columns(table: Table) -> Iterator[Column[Any]]:
        for column in table.c:
            yield Column(column.name, column.type, primary_key=column.primary_key, nullable=column.nullable)

    def _constraints(self, table: Table) -> Iterator[Constraint]:
        for constraint in table.constraints:
            name = self.of(str(constraint.name))
            if isinstance(constraint, UniqueConstraint):
                yield UniqueConstraint(*constraint.columns.keys(), name=name)
            elif isinstance(constraint, ForeignKeyConstraint):
                referred = [key.column for key in constraint.elements]
                targets = [f"{self.of(column.table.name)}.{column.name}" for column in referred]
                yield ForeignKeyConstraint(constraint.column_keys, targets, name, ondelete=constraint.ondelete)

    def _replaced(self, part: re.Match[str]) -> str:
        name = part["name"]
        return self.of(name) if name and name not in _COLUMNS else part[0]


NO_PREFIX = Prefix()
