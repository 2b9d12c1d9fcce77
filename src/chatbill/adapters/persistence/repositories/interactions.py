"""Keep interactions in SQL. Each of them ends once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, bindparam, case, exists, func, literal_column, or_, select

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.repositories.periods import within
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import (
    Among,
    ContainsText,
    Statement,
    all_of,
    equals,
    limit,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import conversations, interactions
from chatbill.adapters.persistence.sql.types import Id
from chatbill.application.ports.repositories.interactions import (
    MAX_REMEMBERED_BYTES,
    UNBOUNDED,
    HistoryFilter,
    InteractionFilter,
    OldText,
)
from chatbill.application.ports.repositories.paging import Position, fitting, fitting_and_next
from chatbill.domain.billing.holds import MAX_HOLD_S
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.branches import Node
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, text_bytes
from chatbill.domain.shared.errors import AlreadySettled
from chatbill.domain.shared.ids import ConversationId, InteractionId, UserId

PRICE = nested(
    "price",
    Price,
    per_reply="price_per_reply",
    per_1k_prompt_tokens="price_per_1k_prompt_tokens",
    per_1k_completion_tokens="price_per_1k_completion_tokens",
)
USAGE = nested("usage", Usage, prompt_tokens="prompt_tokens", completion_tokens="completion_tokens")
# When it was asked to stop is a word to its writer and no part of what it is.
_INTERACTIONS = Mapping(interactions, Interaction, PRICE, USAGE, without=("stop_asked_at",))
_I = interactions.c
LONGEST = timedelta(seconds=MAX_HOLD_S)
_RUNNING = _I.outcome == literal_column("'running'")
_NEWEST_FIRST = (_I.created_at.desc(), _I.id.desc())
_GET = Statement(all_of(interactions, equals(_I.id)))
_EMPTY: ColumnElement[str] = literal_column("''")
# A message is never empty: without one, the texts were erased while the reply was written.
_REPLY = case((_I.prompt == _EMPTY, _EMPTY), else_=bindparam("written", type_=_I.reply.type))
_SAVE = Statement(
    Update(interactions).values(reply=_REPLY).where(equals(_I.id), _RUNNING),
    columns=tuple(name for name in _INTERACTIONS.changing if name != "reply"),
)
_ERASE_TEXTS = update(interactions, "prompt", "reply", where=(equals(_I.conversation_id),))
_ERASE_TEXTS_OF = update(interactions, "prompt", "reply", where=(equals(_I.user_id),))
_CHARGED = (
    equals(_I.conversation_id),
    _I.outcome.in_([literal_column("'completed'"), literal_column("'stopped'")]),
)
_TURNS = Statement(
    select(_I.prompt, _I.reply)
    .where(*_CHARGED, _I.reply != literal_column("''"))
    .order_by(*_NEWEST_FIRST)
    .limit(limit())
)
_TURNS_OF = Statement(
    select(_I.prompt, _I.reply)
    .where(Among(_I.id), *_CHARGED[1:], _I.reply != literal_column("''"))
    .order_by(*_NEWEST_FIRST)
    .limit(limit())
)
_NODES = Statement(
    select(_I.id, _I.parent_id).where(equals(_I.conversation_id)).order_by(*_NEWEST_FIRST).limit(limit())
)
_NEWEST = select(_I.id).where(equals(_I.conversation_id)).order_by(*_NEWEST_FIRST).limit(limit())
_LAST, _BEFORE = Statement(_NEWEST), Statement(_NEWEST.where(past(_I.created_at, _I.id)))
# By the tokens, because a text is read from pages of its own.
_COUNT_REPLIES = Statement(
    select(func.count()).select_from(interactions).where(*_CHARGED, _I.completion_tokens > literal_column("0"))
)
_SPENT_IN = Statement(select(func.coalesce(func.sum(_I.credits_charged), 0)).where(equals(_I.conversation_id)))
_HAS_TEXT = case(
    (and_(~_RUNNING, or_(_I.prompt != literal_column("''"), _I.reply != literal_column("''"))), literal_column("1")),
    else_=literal_column("0"),
)
_TEXTS = Statement(
    select(_I.id, _I.conversation_id, _I.created_at, _HAS_TEXT)
    .where(_I.id > bindparam("after", type_=Id))
    .order_by(_I.id)
    .limit(limit())
)
_ERASE_TEXTS_AMONG = update(interactions, "prompt", "reply", where=(Among(_I.id),))
_ASK_TO_STOP = update(interactions, "stop_asked_at", where=(equals(_I.id), _RUNNING, _I.stop_asked_at.is_(None)))
_ASK_ALL_TO_STOP = update(
    interactions, "stop_asked_at", where=(equals(_I.user_id), _RUNNING, _I.stop_asked_at.is_(None))
)
_ASKED_TO_STOP = Statement(select(_I.id).where(Among(_I.id), _RUNNING, _I.stop_asked_at.is_not(None)))
_RUNNING_IN = Statement(select(_I.id).where(equals(_I.conversation_id), _RUNNING).limit(limit()))


@cache
def _of_conversation(filters: frozenset[str]) -> Statement:
    query = all_of(interactions, equals(_I.conversation_id))
    if "after_at" in filters:
        query = query.where(past(_I.created_at, _I.id))
    return Statement(query.order_by(*_NEWEST_FIRST).limit(limit()))


@cache
def _history(filters: frozenset[str]) -> Statement:
    """Select interactions of a user, by the filters that are named.

    Deleted conversations are looked up row by row, so that the user's index gives the order and a page costs the same
    for any number of interactions.
    """
    visible = exists().where(conversations.c.id == _I.conversation_id, conversations.c.deleted_at.is_(None))
    query = all_of(interactions, equals(_I.user_id), visible)
    for column in (_I.model, _I.outcome):
        if column.name in filters:
            query = query.where(equals(column))
    if "needle" in filters:
        query = query.where(ContainsText(_I.prompt) | ContainsText(_I.reply))
    if "after_at" in filters:
        query = query.where(past(_I.created_at, _I.id))
    query = within(query, _I.created_at, filters)
    return Statement(query.order_by(*_NEWEST_FIRST).limit(limit()))


@cache
def _newest(filters: frozenset[str]) -> Statement:
    """Select interactions of all users, by the filters that are named.

    `begun` is a moment before which none begins that ends in the period: so the index by time serves.
    """
    query = all_of(interactions)
    for column in (_I.user_id, _I.model, _I.outcome):
        if column.name in filters:
            query = query.where(equals(column))
    if "needle" in filters:
        query = query.where(ContainsText(_I.prompt) | ContainsText(_I.reply))
    if "after_at" in filters:
        query = query.where(past(_I.created_at, _I.id))
    if "start" in filters:
        query = query.where(_I.finished_at >= bindparam("start"), _I.created_at >= bindparam("begun"))
    if "end" in filters:
        query = query.where(_I.finished_at < bindparam("end"), _I.created_at < bindparam("end"))
    return Statement(query.order_by(*_NEWEST_FIRST).limit(limit()))


class SqlInteractions:
    """Interactions by id, by conversation and by person."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, interaction_id: InteractionId) -> Interaction | None:
        return _INTERACTIONS.one(self._connection.one(_GET, id=interaction_id))

    def turns(
        self, conversation_id: ConversationId, *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        return self._turns(max_bytes, _TURNS, conversation_id=conversation_id, limit=limit)

    def turns_of(
        self, newest_first: Sequence[InteractionId], *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        return self._turns(max_bytes, _TURNS_OF, among=json.dumps(newest_first), limit=limit)

    def nodes(self, conversation_id: ConversationId, *, limit: int) -> list[Node]:
        rows = self._connection.stream(_NODES, conversation_id=conversation_id, limit=limit)
        return [Node(id_, parent_id) for id_, parent_id in rows]

    def before(self, conversation_id: ConversationId, place: Position | None = None) -> InteractionId | None:
        given = _place(place)
        row = self._connection.one(_BEFORE if place else _LAST, conversation_id=conversation_id, limit=1, **given)
        return InteractionId(row[0]) if row else None

    def _turns(self, max_bytes: int, statement: Statement, **parameters: Any) -> list[Turn]:
        turns: list[Turn] = []
        with closing(self._connection.stream(statement, **parameters)) as rows:
            newest_first = list(fitting(rows, max_bytes, lambda row: text_bytes(row[0]) + text_bytes(row[1])))
        for prompt, reply in reversed(newest_first):
            turns += [Turn(Role.USER, prompt), Turn(Role.ASSISTANT, reply)]
        return turns

    def count_replies(self, conversation_id: ConversationId) -> int:
        row = self._connection.one(_COUNT_REPLIES, conversation_id=conversation_id)
        return int(row[0]) if row else 0

    def spent_in(self, conversation_id: ConversationId) -> int:
        row = self._connection.one(_SPENT_IN, conversation_id=conversation_id)
        return int(row[0]) if row else 0

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        return self._connection.one(_RUNNING_IN, conversation_id=conversation_id, limit=1) is not None

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        return [id_ for (id_,) in self._connection.stream(_ASKED_TO_STOP, among=json.dumps(among))]

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        given = _place(after)
        statement = _of_conversation(frozenset(given))
        return self._read(statement, max_bytes, conversation_id=conversation_id, limit=limit, **given)

    def history(
        self,
        user_id: UserId,
        filters: HistoryFilter,
        *,
        after: Position | None,
        limit: int,
        max_bytes: int = UNBOUNDED,
    ) -> list[Interaction]:
        wanted = {
            "model": filters.model,
            "outcome": filters.outcome and filters.outcome.value,
            "start": filters.period.start,
            "end": filters.period.end,
            "needle": filters.text or None,
        }
        given = _place(after) | {name: value for name, value in wanted.items() if value is not None}
        return self._read(_history(frozenset(given)), max_bytes, user_id=user_id, limit=limit, **given)

    def newest(
        self, filters: InteractionFilter, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        start = filters.period.start
        wanted: dict[str, Any] = {
            "user_id": filters.user_id,
            "model": filters.model,
            "outcome": filters.outcome and filters.outcome.value,
            "needle": filters.text,
            "start": start,
            "begun": start and start - LONGEST,
            "end": filters.period.end,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        with closing(self._connection.stream(_newest(frozenset(given)), limit=limit, **given)) as rows:
            return list(fitting_and_next(map(_INTERACTIONS.read, rows), max_bytes, Interaction.text_bytes))

    def add(self, interaction: Interaction) -> None:
        self._connection.put(_INTERACTIONS.add, **_INTERACTIONS.values(interaction))

    def save(self, interaction: Interaction) -> None:
        changes = _INTERACTIONS.changes(interaction)
        changes["written"] = changes.pop("reply")
        self._connection.put(
            _SAVE,
            **changes,
            or_else=lambda: AlreadySettled(f"interaction {interaction.id} is not running"),
        )

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        self._connection.put(_ASK_TO_STOP, id=interaction_id, stop_asked_at=at)

    def ask_all_to_stop(self, user_id: UserId, *, at: datetime) -> None:
        self._connection.put(_ASK_ALL_TO_STOP, user_id=user_id, stop_asked_at=at)

    def erase_texts(self, conversation_id: ConversationId) -> None:
        self._connection.put(_ERASE_TEXTS, conversation_id=conversation_id, prompt="", reply="")

    def erase_texts_of(self, user_id: UserId) -> None:
        self._connection.put(_ERASE_TEXTS_OF, user_id=user_id, prompt="", reply="")

    def erase_texts_among(self, among: Sequence[InteractionId]) -> None:
        self._connection.put(_ERASE_TEXTS_AMONG, among=json.dumps(among), prompt="", reply="")

    def texts(self, after: InteractionId | None, limit: int) -> list[OldText]:
        rows = self._connection.stream(_TEXTS, after=after or "", limit=limit)
        return [
            OldText(id=id_, conversation_id=conversation_id, created_at=created_at, is_there=bool(has_text))
            for id_, conversation_id, created_at, has_text in rows
        ]

    def _read(self, statement: Statement, max_bytes: int, **parameters: Any) -> list[Interaction]:
        with closing(self._connection.stream(statement, **parameters)) as rows:
            read = map(_INTERACTIONS.read, rows)
            return list(fitting_and_next(read, max_bytes, Interaction.text_bytes))


def _place(after: Position | None) -> dict[str, Any]:
    return {} if after is None else {"after_at": after.at, "after_id": after.id}
