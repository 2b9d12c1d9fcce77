"""How objects of the domain are kept as rows: one mapping a table, made once from the columns of the table.

A column keeps the attribute of its name. What an attribute that takes several columns is made of is said by a `Part`;
enumerations, flags and descriptions are known by their type. A column that has no such attribute is written as null.

As for dataclasses, the functions that convert are compiled from their source, one expression a column: a charge
converts a dozen objects, and to loop over the columns took longer than SQLite took for the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

from sqlalchemy import Table

from chatbill.adapters.persistence.sql.statements import Statement, insert
from chatbill.domain.shared.descriptions import Description

T = TypeVar("T")
Values = Sequence[Any]

described = lru_cache(maxsize=1_024)(Description.loads)
"""Returns the description for its stored text. The result is cached, because many rows share few descriptions."""


def unchanged(value: Any) -> Any:
    """Return the value, for a part of one column that is read without a conversion."""
    return value


@dataclass(frozen=True, slots=True)
class Part:
    """An attribute that is kept in `columns`, and the conversions from their values and back to them.

    `paths` lead from the attribute to the values without `split`, which is faster; one is empty for the attribute
    itself.
    """

    attribute: str
    columns: Sequence[str]
    made_of: Callable[..., Any]
    split: Callable[[Any], Values] | None = None
    paths: Sequence[str] = ()


def nested(attribute: str, of: Callable[..., Any], **columns: str) -> Part:
    """Return the part for an object, or None, whose attributes are kept in the columns named; the first is never null.

    Such objects are made once for each combination of values and shared.
    """
    names = tuple(columns)

    @lru_cache(maxsize=256)
    def made_of(*values: Any) -> Any:
        return None if values[0] is None else of(**dict(zip(names, values, strict=True)))

    return Part(attribute, tuple(columns.values()), made_of, paths=[f".{name}" for name in columns])


class Mapping(Generic[T]):
    """The rows of a table as objects. `values` returns the value of every column of an object.

    `read` returns the object that a row, with every column in the order of the table, stands for. `changing` are the
    columns that are saved of a row that is there already.
    """

    def __init__(self, table: Table, of: type[T], *parts: Part, without: Iterable[str] = ()) -> None:
        hints = get_type_hints(of)
        names = list(table.c.keys())
        in_parts = {column for part in parts for column in part.columns}
        single = [name for name in names if name not in in_parts and name not in set(without)]
        self._parts = [*parts, *(_part(name, hints.get(name)) for name in single)]
        self._nullable = {name for name, hint in hints.items() if type(None) in get_args(hint)}
        # A property, such as the key of a name, is written and not read.
        own = {field.name for field in fields(cast("Any", of))}
        self.add: Statement = insert(table)
        self.changing = tuple(column.name for column in table.c if column.info.get("changes"))
        self._key = tuple(table.primary_key.columns.keys())
        self.values: Callable[[T], dict[str, Any]] = self._taker(names)
        self.read: Callable[[Values], T] = _reader(of, [part for part in self._parts if part.attribute in own], names)

    @cached_property
    def changes(self) -> Callable[[T], dict[str, Any]]:
        """Return what takes the values of the key and of the changing columns out of an object."""
        return self._taker([*self._key, *self.changing])

    def _taker(self, wanted: Sequence[str]) -> Callable[[T], dict[str, Any]]:
        """Return what takes the values of these columns, and of those in one part with them, out of an object."""
        parts = [part for part in self._parts if not set(wanted).isdisjoint(part.columns)]
        items = dict.fromkeys(wanted, "None")
        splits = [part for part in parts if part.split]
        for part in parts:
            optional = f"None if thing.{part.attribute} is None else " if part.attribute in self._nullable else ""
            items |= {
                column: f"{path and optional}thing.{part.attribute}{path}"
                for column, path in zip(part.columns, part.paths, strict=False)
            }
        source = ", ".join(f"{column!r}: {value}" for column, value in items.items())
        source += "".join(
            f", **dict(zip(split_{index}.columns, split_{index}.split(thing.{part.attribute})))"
            for index, part in enumerate(splits)
        )
        return _compiled(f"lambda thing: {{{source}}}", {f"split_{index}": part for index, part in enumerate(splits)})

    def one(self, row: Values | None) -> T | None:
        """Return the object of a row, if there is one."""
        return None if row is None else self.read(row)


def _reader(of: type[T], parts: Sequence[Part], names: list[str]) -> Callable[[Values], T]:
    arguments = []
    for index, part in enumerate(parts):
        values = ", ".join(f"row[{names.index(column)}]" for column in part.columns)
        arguments.append(f"{part.attribute}={values if part.made_of is unchanged else f'make_{index}({values})'}")
    makers = {f"make_{index}": part.made_of for index, part in enumerate(parts)}
    return _compiled(f"lambda row: of({', '.join(arguments)})", {"of": of, **makers})


def _compiled(source: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function of this source, which is made of the names of columns and attributes and of nothing else."""
    function: Callable[[Any], Any] = eval(source, names)  # noqa: S307
    return function


def _part(name: str, hint: Any) -> Part:
    """Return the part for the attribute of a column's own name. Some have a type that no database knows."""
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, Enum):
            return Part(name, (name,), kind if kind is hint else _or_none(kind), paths=("._value_",))
        if kind is Description:
            return Part(name, (name,), _or_none(described), paths=(".dumps()",))
        if kind is bool:
            return Part(name, (name,), bool, paths=("",))
    return Part(name, (name,), unchanged, paths=("",))


def _or_none(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else make(value)
