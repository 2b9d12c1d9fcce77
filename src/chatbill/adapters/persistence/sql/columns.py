"""Short forms for columns and rules, of which the tables are made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlalchemy.types import TypeEngine

from chatbill.adapters.persistence.sql.types import Id

_Type = TypeEngine[Any] | type[TypeEngine[Any]]
CHANGES = {"changes": True}
"""The mark of the columns that a repository saves of a row that is there already."""


def key() -> Column[Any]:
    """Return the column `id`, by which rows are found."""
    return Column("id", Id, primary_key=True)


def columns(type_: _Type, *names: str, null: bool = False) -> list[Column[Any]]:
    """Return columns of one type that keep what they are given first."""
    return [Column(name, type_, nullable=null) for name in names]


def changing(type_: _Type, *names: str, null: bool = False) -> list[Column[Any]]:
    """Return columns of one type that are saved."""
    return [Column(name, type_, nullable=null, info=CHANGES) for name in names]


def refers(name: str, to: str, *, null: bool = False, **options: Any) -> Column[Any]:
    """Return a column that refers to the id of another table."""
    return Column(name, Id, ForeignKey(f"{to}.id"), nullable=null, **options)


def reference(name: str, *, null: bool = False) -> list[Column[Any]]:
    """Return the kind and the id of something that need not be in any table."""
    return [*columns(Text, f"{name}_kind", null=null), *columns(Id, f"{name}_id", null=null)]


def check(name: str, rule: str) -> CheckConstraint:
    """Return a rule that each row obeys."""
    return CheckConstraint(rule, name=name)


def partial(name: str, *names: str, where: str, unique: bool = False) -> Index:
    """Return an index of some rows."""
    return Index(name, *names, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
