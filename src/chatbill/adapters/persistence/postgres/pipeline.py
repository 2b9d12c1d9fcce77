"""Runs any number of statements in one round trip, by libpq's pipeline mode. Imported only where psycopg is installed.

Psycopg's own pipeline makes two system calls for each statement, which cost as much as the statement itself. This one
sends a whole transaction at once; the connection, the conversion of values and the errors are psycopg's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import Connection, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send

if TYPE_CHECKING:
    from chatbill.adapters.persistence.postgres.connection import Query

MAX_PREPARED = 256
"""Statements that are kept prepared for each connection. Further ones are parsed each time."""

_Key = tuple[bytes, tuple[int, ...]]
"""A statement, and the types of its parameters by their numbers in the server."""

_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


class Result:
    """The rows of a statement, the number of rows that it found or changed, and its command tag."""

    def __init__(self, result: pq.abc.PGresult, rows: list[tuple[Any, ...]]) -> None:
        self.rowcount = result.command_tuples or 0
        self.statusmessage = (result.command_status or b"").decode()
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._rows

    def close(self) -> None:
        """Do nothing: all rows have been read."""


class _Encoded(NamedTuple):
    """A query in the form that libpq takes."""

    key: _Key
    values: Sequence[Any]
    formats: Sequence[pq.Format]
    prepare: bool


class Pipeline:
    """Takes over a psycopg connection, which can be used only through this object from then on."""

    def __init__(self, raw: Connection[Any]) -> None:
        self._raw = raw
        self._libpq = raw.pgconn
        self._libpq.enter_pipeline_mode()
        self._transformer = Transformer(raw)
        self._prepared: dict[_Key, bytes] = {}
        self._numbers = itertools.count(1)

    def run(self, queries: Sequence[Query]) -> list[Result]:
        """Run the queries; after one that fails, none is run. Raises psycopg's error of the one that failed."""
        encoded = [self._encoded(query) for query in queries]
        results: list[pq.abc.PGresult] = []
        try:
            named = self._send(encoded)
            self._raw.wait(self._receive(len(encoded) + len(named), results))
        except BaseException:
            # Results that are still to come would be taken for those of later queries.
            self._raw.close()
            self._raise_first(results)
            raise
        answers = []
        for index, result in enumerate(results):
            if index not in named:
                answers.append(result)
            elif result.status == pq.ExecStatus.COMMAND_OK:
                key, name = named[index]
                self._prepared[key] = name
        self._raise_first(results)
        return [self._read(answer) for answer in answers]

    def _encoded(self, query: Query) -> _Encoded:
        sql, names = _positional(query.sql)
        values = [query.parameters[name] for name in names]
        dumped = self._transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return _Encoded((sql, self._transformer.types or ()), dumped, self._transformer.formats or (), query.prepare)

    def _send(self, queries: list[_Encoded]) -> dict[int, tuple[_Key, bytes]]:
        """Hand the queries to libpq. Return what each result that is that of a PREPARE prepares, by its index."""
        named: dict[int, tuple[_Key, bytes]] = {}
        new: dict[_Key, bytes] = {}
        for index, (key, values, formats, prepare) in enumerate(queries):
            name = self._prepared.get(key) or new.get(key)
            if name is None and prepare and len(self._prepared) + len(new) < MAX_PREPARED:
                name = new[key] = b"chatbill_%d" % next(self._numbers)
                named[index + len(named)] = key, name
                self._libpq.send_prepare(name, *key)
            if name is None:
                self._libpq.send_query_params(key[0], values, key[1], formats)
            else:
                self._libpq.send_query_prepared(name, values, formats)
        self._libpq.pipeline_sync()
        return named

    def _receive(self, count: int, results: list[pq.abc.PGresult]) -> Generator[Any, Any, None]:
        """Receive as many results, and the answer to the sync, as a generator for psycopg's `wait`."""
        yield from send(self._libpq)
        for _ in range(count):
            results += yield from fetch_many(self._libpq)
        yield from fetch_many(self._libpq)

    def _raise_first(self, results: list[pq.abc.PGresult]) -> None:
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise error_from_result(result)

    def _read(self, result: pq.abc.PGresult) -> Result:
        self._transformer.set_pgresult(result)
        return Result(result, self._transformer.load_rows(0, result.ntuples, tuple))


@lru_cache(maxsize=1024)
def _positional(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the SQL with `$1` in place of the first name, and so on, and the names in this order."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PARAMETER.sub(number, sql).encode(), tuple(numbers)
