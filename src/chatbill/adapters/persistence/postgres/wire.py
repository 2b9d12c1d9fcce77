"""Statements sent to PostgreSQL together and answered together: one round trip for many, each prepared once.

Psycopg makes the connection, waits on it and knows its errors; its cursors cost more than the server needs for a
statement, and so are left out on the way of a request.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

from chatbill.adapters.persistence.sql.connection import Row
from chatbill.domain.shared.errors import InvariantViolation

Values = Sequence[bytes | None]
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")

# By the server's number of the type. What is not named here is text.
_FROM_TEXT: dict[int, Callable[[bytes], Any]] = {
    16: lambda text: text == b"t",
    20: int,
    21: int,
    23: int,
    1184: lambda text: datetime.fromisoformat(text.decode()),
    1700: lambda text: Decimal(text.decode()),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A statement and its values, in the order of `$1`, `$2`, …, and its name if it is to be prepared."""

    sql: bytes
    values: Values = ()
    name: bytes | None = None


class _Silence(Exception):
    """The server did not answer in time."""


class Answer:
    """What the server said to one message."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._next = 0
        self._converters = [_FROM_TEXT.get(result.ftype(column), bytes.decode) for column in range(result.nfields)]

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return int(self._result.command_tuples or 0)

    @property
    def said(self) -> bytes:
        """The words of the answer, such as COMMIT."""
        return bytes(self._result.command_status or b"")

    def fetchone(self) -> Row | None:
        """The next row."""
        if self._next >= self._result.ntuples:
            return None
        get, row = self._result.get_value, self._next
        self._next += 1
        return [
            None if (value := get(row, column)) is None else convert(value)
            for column, convert in enumerate(self._converters)
        ]

    def __iter__(self) -> Iterator[Row]:
        """The rows that are left."""
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        """Nothing is kept on the server."""


class Wire:
    """The statements that were prepared on one connection of psycopg's, and the way to run them."""

    def __init__(self, raw: Any, driver: ModuleType, *, answer_within_s: float) -> None:
        self._raw = raw
        self._answer_within_s = answer_within_s
        self._errors = driver.errors
        self._status = driver.pq.ExecStatus
        # Psycopg may be missing, and whoever uses SQLite does not miss it.
        self._generators: Any = importlib.import_module("psycopg.generators")
        self._names: dict[str, tuple[bytes, bytes, tuple[str, ...]]] = {}
        self._prepared: set[bytes] = set()

    def message(self, sql: str, parameters: dict[str, Any]) -> Message:
        """A message that runs this statement as a prepared one. Its parameters look like `%(name)s`.

        Raises `UnicodeEncodeError` for a text that the server cannot keep, `InvariantViolation` for what is no value.
        """
        known = self._names.get(sql)
        if known is None:
            known = self._names[sql] = (f"chatbill_{len(self._names)}".encode(), *_numbered(sql))
        name, text, order = known
        return Message(text, [_to_text(parameters[each]) for each in order], name)

    def send(self, messages: Sequence[Message]) -> list[Answer]:
        """Run the messages one after the other, up to the first that fails; raise its error, which is psycopg's.

        A server that says nothing for too long is left: it cannot keep its own time when it stands still.
        """
        with self._raw.lock:
            try:
                results = self._raw.wait(self._in_time(self._conversation(messages)))
            except _Silence:
                self._raw.close()
                words = f"the server has not answered for {self._answer_within_s:g} s"
                raise self._errors.OperationalError(words) from None
        for result in results:
            if result.status in {self._status.FATAL_ERROR, self._status.PIPELINE_ABORTED}:
                raise self._errors.error_from_result(result)
        return [Answer(result) for result in results]

    def _in_time(self, conversation: Any) -> Any:
        """The conversation, as long as it does not take too long; psycopg looks in ten times a second."""
        until = time.monotonic() + self._answer_within_s
        try:
            wanted = next(conversation)
            while True:
                ready = yield wanted
                if time.monotonic() > until:
                    raise _Silence
                wanted = conversation.send(ready)
        except StopIteration as end:
            return end.value

    def _conversation(self, messages: Sequence[Message]) -> Any:
        connection = self._raw.pgconn
        if len(messages) == 1 and messages[0].name is None:
            connection.send_query(messages[0].sql)
            return (yield from self._generators.execute(connection))
        connection.enter_pipeline_mode()
        preparing = [self._ask(connection, message) for message in messages]
        connection.pipeline_sync()
        yield from self._generators.send(connection)
        results = []
        for message, prepares in zip(messages, preparing, strict=True):
            if prepares:
                made = yield from self._result(connection)
                if made.status == self._status.COMMAND_OK and message.name:
                    self._prepared.add(message.name)
                else:
                    results.append(made)
            results.append((yield from self._result(connection)))
        # The answer to the sync itself.
        yield from self._generators.fetch(connection)
        connection.exit_pipeline_mode()
        return results

    def _ask(self, connection: Any, message: Message) -> bool:
        """Send one message; return whether its statement is prepared on the way."""
        if message.name is None:
            connection.send_query_params(message.sql, None)
            return False
        new = message.name not in self._prepared
        if new:
            connection.send_prepare(message.name, message.sql)
        connection.send_query_prepared(message.name, message.values)
        return new

    def _result(self, connection: Any) -> Any:
        """The result of a message, and the empty one that ends it."""
        result = yield from self._generators.fetch(connection)
        yield from self._generators.fetch(connection)
        return result


def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement as the server takes it, and the parameters in the order of their numbers."""
    order: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return "%" if match[1] is None else f"${order.setdefault(match[1], len(order) + 1)}"

    return _PARAMETER.sub(number, sql).encode(), tuple(order)


def _to_text(value: Any) -> bytes | None:
    match value:
        case None:
            return None
        case str():
            if "\0" in value:
                place = value.index("\0")
                raise UnicodeEncodeError("utf-8", value, place, place + 1, "NUL is not allowed")
            return value.encode()
        case int():
            return b"%d" % value
        case datetime():
            return value.isoformat().encode()
        case _:
            raise InvariantViolation(
                f"the database does not understand this: a value of the type {type(value).__name__}"
            )
