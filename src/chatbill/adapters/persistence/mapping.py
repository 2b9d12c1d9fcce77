"""How objects of the domain are kept as rows: one mapping a table, made once from the columns of the table.

A column keeps the attribute of its name. What an attribute that takes several columns is made of is said by a `Part`;
enumerations, flags and descriptions are known by their type. A column that has no such attribute is written as null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property, lru_cache, partial
from operator import attrgetter, itemgetter
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

    If the attribute is never None, `paths` lead to the values without `split`, which is faster.
    """

    attribute: str
    columns: Sequence[str]
    made_of: Callable[..., Any]
    split: Callable[[Any], Values]
    paths: Sequence[str] = ()


def nested(attribute: str, of: Callable[..., Any], **columns: str) -> Part:
    """Return the part for an object, or None, whose attributes are kept in the columns named; the first is never null.

    Such objects are made once for each combination of values and shared.
    """
    names, get, nothing = tuple(columns), attrgetter(*columns), (None,) * len(columns)

    @lru_cache(maxsize=256)
    def made_of(*values: Any) -> Any:
        return None if values[0] is None else of(**dict(zip(names, values, strict=True)))

    paths = [f"{attribute}.{name}" for name in names]
    return Part(attribute, tuple(columns.values()), made_of, lambda each: nothing if each is None else get(each), paths)


class Mapping(Generic[T]):
    """The rows of a table as objects. `values` returns the value of every column of an object.

    `changing` are the columns that are saved of a row that is there already.
    """

    def __init__(self, table: Table, of: type[T], *parts: Part, without: Iterable[str] = ()) -> None:
        hints = get_type_hints(of)
        names = list(table.c.keys())
        in_parts = {column for part in parts for column in part.columns}
        single = [name for name in names if name not in in_parts and name not in set(without)]
        typed = [part for name in single if (part := _typed(name, hints.get(name)))]
        self._parts = [*parts, *typed]
        plain = [name for name in single if name not in {part.attribute for part in typed}]
        # A property, such as the key of a name, is written and not read.
        own = {field.name for field in fields(cast("Any", of))}
        written = [part.attribute for part in self._parts if part.made_of is unchanged]
        self._attributes = [name for name in (*plain, *written) if name in own]
        self._pick = itemgetter(*(names.index(name) for name in self._attributes))
        self._picks = [
            (part.attribute, _picker(names, part.columns), part.made_of)
            for part in self._parts
            if part.made_of is not unchanged
        ]
        self._of = of
        self.add: Statement = insert(table)
        self.changing = tuple(column.name for column in table.c if column.info.get("changes"))
        direct = [part for part in self._parts if part.paths and type(None) not in get_args(hints.get(part.attribute))]
        self._paths = {name: name for name in plain}
        for part in direct:
            self._paths |= zip(part.columns, part.paths, strict=True)
        self._splits = [part for part in self._parts if part not in direct]
        self.values: Callable[[T], dict[str, Any]] = self._taker(names)
        self._key = tuple(table.primary_key.columns.keys())

    @cached_property
    def changes(self) -> Callable[[T], dict[str, Any]]:
        """Return what takes the values of the key and of the changing columns out of an object."""
        return self._taker([*self._key, *self.changing])

    def _taker(self, wanted: Sequence[str]) -> Callable[[T], dict[str, Any]]:
        """Return what takes the values of these columns, and of those in one part with them, out of an object."""
        paths = {column: path for column, path in self._paths.items() if column in wanted}
        parts = [part for part in self._splits if not set(wanted).isdisjoint(part.columns)]
        found = [*paths, *(column for part in parts for column in part.columns)]
        missing = [column for column in wanted if column not in found]
        columns, nulls = (*found, *missing), [None] * len(missing)
        get, splits = _getter([*paths.values()]), [(attrgetter(part.attribute), part.split) for part in parts]

        def take(thing: T) -> dict[str, Any]:
            values = [*get(thing)]
            for attribute, split in splits:
                values += split(attribute(thing))
            return dict(zip(columns, values + nulls, strict=True))

        return take

    def read(self, row: Values) -> T:
        """Return the object that a row, with every column in the order of the table, stands for."""
        found: dict[str, Any] = dict(zip(self._attributes, self._pick(row)))  # noqa: B905 - they are as many
        for attribute, pick, made_of in self._picks:
            found[attribute] = made_of(*pick(row))
        return self._of(**found)

    def one(self, row: Values | None) -> T | None:
        """Return the object of a row, if there is one."""
        return None if row is None else self.read(row)


def _getter(paths: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """Return what takes the values at these paths out of an object, as a sequence."""
    if len(paths) > 1:
        return attrgetter(*paths)
    get = attrgetter(paths[0])
    return lambda thing: (get(thing),)


def _picker(names: list[str], wanted: Sequence[str]) -> Callable[[Values], Any]:
    """Return what takes the values of these columns out of a row, as a sequence."""
    places = [names.index(name) for name in wanted]
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _typed(name: str, hint: Any) -> Part | None:
    """Return the part for an attribute whose type no database knows."""
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, Enum):
            made_of = kind if kind is hint else partial(_or_none, kind)
            return Part(name, (name,), made_of, lambda value: (value and value.value,), (f"{name}._value_",))
        if kind is Description:
            return Part(name, (name,), partial(_or_none, described), lambda value: (value and value.dumps(),))
        if kind is bool:
            return Part(name, (name,), bool, lambda value: (value,))
    return None


def _or_none(make: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else make(value)
