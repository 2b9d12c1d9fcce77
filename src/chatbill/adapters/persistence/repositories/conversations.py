"""Keep conversations in SQL. A deleted one is never returned."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Update, bindparam, case, exists, literal_column, not_

from chatbill.adapters.persistence.mapping import Mapping
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import (
    ContainsText,
    Statement,
    all_of,
    equals,
    limit,
    locking,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import conversations, interactions
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import ConversationId, UserId

_CONVERSATIONS = Mapping(conversations, Conversation)
_VISIBLE = conversations.c.deleted_at.is_(None)
_BY_ID = all_of(conversations, equals(conversations.c.id), _VISIBLE)
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
# Written out, not columns: only so do their partial indexes serve.
_LISTED: ColumnElement[bool] = literal_column("conversations.listed")
_PINNED: ColumnElement[bool] = literal_column("conversations.pinned")
_OF_USER = (
    all_of(conversations, equals(conversations.c.user_id), _LISTED, _VISIBLE)
    .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
    .limit(limit())
)


@cache
def _of_user(pinned: bool, filters: frozenset[str]) -> Statement:  # noqa: FBT001 - a key of the cache
    """Select conversations of a user, pinned or not, by the filters that are named."""
    query = _OF_USER.where(_PINNED if pinned else not_(_PINNED))
    if "needle" in filters:
        texts = exists().where(
            interactions.c.conversation_id == conversations.c.id,
            ContainsText(interactions.c.prompt) | ContainsText(interactions.c.reply),
        )
        query = query.where(ContainsText(conversations.c.title) | texts)
    if "after_at" in filters:
        query = query.where(past(conversations.c.updated_at, conversations.c.id))
    return Statement(query)


_SAVE = update(conversations, *_CONVERSATIONS.changing, where=(equals(conversations.c.id),))
_BRANCH = update(conversations, "branched", where=(equals(conversations.c.id),))
_DELETE_ALL = update(conversations, "title", "deleted_at", where=(equals(conversations.c.user_id), _VISIBLE))
_SAID_AT = bindparam("said_at", type_=conversations.c.updated_at.type)
_TOUCH = Statement(
    Update(conversations)
    .values(updated_at=case((conversations.c.updated_at < _SAID_AT, _SAID_AT), else_=conversations.c.updated_at))
    .where(equals(conversations.c.id), equals(conversations.c.user_id), _VISIBLE)
)


class SqlConversations:
    """Conversations by id and by the person they belong to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, conversation_id: ConversationId) -> Conversation | None:
        return _CONVERSATIONS.one(self._connection.one(_GET, id=conversation_id))

    def lock(self, conversation_id: ConversationId) -> Conversation | None:
        return _CONVERSATIONS.one(self._connection.one(_LOCK, id=conversation_id))

    def of_user(
        self,
        user_id: UserId,
        *,
        pinned: bool = False,
        text: str | None = None,
        after: Position | None,
        limit: int,
    ) -> list[Conversation]:
        given: dict[str, Any] = {} if after is None else {"after_at": after.at, "after_id": after.id}
        if text:
            given["needle"] = text
        rows = self._connection.stream(_of_user(pinned, frozenset(given)), user_id=user_id, limit=limit, **given)
        return list(map(_CONVERSATIONS.read, rows))

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        self._connection.put(
            _TOUCH, id=conversation_id, user_id=user_id, said_at=at, or_else=lambda: NotFound("conversation")
        )

    def branch(self, conversation_id: ConversationId) -> None:
        self._connection.put(_BRANCH, id=conversation_id, branched=True)

    def delete_all_of(self, user_id: UserId, *, title: str, at: datetime) -> None:
        self._connection.put(_DELETE_ALL, user_id=user_id, title=title, deleted_at=at)

    def add(self, conversation: Conversation) -> None:
        self._connection.put(_CONVERSATIONS.add, **_CONVERSATIONS.values(conversation))

    def save(self, conversation: Conversation) -> None:
        self._connection.put(
            _SAVE,
            **_CONVERSATIONS.changes(conversation),
            or_else=lambda: InvariantViolation(f"conversation {conversation.id} does not exist"),
        )
