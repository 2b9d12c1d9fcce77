"""Conversations; a deleted one is out of sight."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Update, bindparam, case, literal_column

from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, limit, locking, past, update
from chatbill.adapters.persistence.sql.tables import conversations
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import ConversationId, UserId

_VISIBLE = conversations.c.deleted_at.is_(None)
_BY_ID = all_of(conversations, equals(conversations.c.id), _VISIBLE)
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
# Written out, not a column: only so does its partial index serve.
_LISTED: ColumnElement[bool] = literal_column("conversations.listed")
_OF_USER = (
    all_of(conversations, equals(conversations.c.user_id), _LISTED, _VISIBLE)
    .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
    .limit(limit())
)
_FIRST_PAGE = Statement(_OF_USER)
_NEXT_PAGE = Statement(_OF_USER.where(past(conversations.c.updated_at, conversations.c.id)))
_ADD = insert(conversations)
_SAVE = update(conversations, "title", "updated_at", "deleted_at", where=(equals(conversations.c.id),))
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
        row = self._connection.one(_GET, id=conversation_id)
        return None if row is None else _conversation(row)

    def lock(self, conversation_id: ConversationId) -> Conversation | None:
        row = self._connection.one(_LOCK, id=conversation_id)
        return None if row is None else _conversation(row)

    def of_user(self, user_id: UserId, *, after: Position | None, limit: int) -> list[Conversation]:
        if after is None:
            rows = self._connection.stream(_FIRST_PAGE, user_id=user_id, limit=limit)
        else:
            rows = self._connection.stream(
                _NEXT_PAGE, user_id=user_id, limit=limit, after_at=after.at, after_id=after.id
            )
        return list(map(_conversation, rows))

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        self._connection.put(_TOUCH, id=conversation_id, user_id=user_id, said_at=at, or_else=NotFound("conversation"))

    def add(self, conversation: Conversation) -> None:
        self._connection.put(
            _ADD,
            id=conversation.id,
            user_id=conversation.user_id,
            title=conversation.title,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            deleted_at=conversation.deleted_at,
            listed=conversation.listed,
        )

    def save(self, conversation: Conversation) -> None:
        self._connection.put(
            _SAVE,
            id=conversation.id,
            title=conversation.title,
            updated_at=conversation.updated_at,
            deleted_at=conversation.deleted_at,
            or_else=InvariantViolation(f"conversation {conversation.id} does not exist"),
        )


def _conversation(row: Row) -> Conversation:
    id_, user_id, title, created_at, updated_at, deleted_at, listed = row
    return Conversation(
        id=id_,
        user_id=user_id,
        title=title,
        created_at=created_at,
        updated_at=updated_at,
        deleted_at=deleted_at,
        listed=bool(listed),
    )
