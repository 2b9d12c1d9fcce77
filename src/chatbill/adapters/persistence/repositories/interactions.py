"""Interactions, each of which ends once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import exists, literal_column, select

from chatbill.adapters.persistence.repositories.periods import within
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import (
    Among,
    ContainsText,
    Statement,
    all_of,
    equals,
    insert,
    limit,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import conversations, interactions
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import AlreadySettled
from chatbill.domain.shared.ids import ConversationId, InteractionId, UserId

_I = interactions.c
_RUNNING = _I.outcome == literal_column("'running'")
_NEWEST_FIRST = (_I.created_at.desc(), _I.id.desc())
_GET = Statement(all_of(interactions, equals(_I.id)))
_ADD = insert(interactions)
_END = (
    *("outcome", "prompt_tokens", "completion_tokens", "credits_charged", "balance_after", "processing_time_ms"),
    *("finished_at", "error_code", "error_detail", "reply"),
)
_SAVE = update(interactions, *_END, where=(equals(_I.id), _RUNNING))
_ERASE_TEXTS = update(interactions, "prompt", "reply", where=(equals(_I.conversation_id),))
_TURNS = Statement(
    select(_I.prompt, _I.reply)
    .where(
        equals(_I.conversation_id),
        _I.outcome.in_([literal_column("'completed'"), literal_column("'stopped'")]),
        _I.reply != literal_column("''"),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(limit())
)
_ASK_TO_STOP = update(interactions, "stop_asked_at", where=(equals(_I.id), _RUNNING, _I.stop_asked_at.is_(None)))
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
    """Interactions of a user, by the filters that are named.

    Deleted conversations are looked up row by row, so that the user's index gives the order and a page costs the same
    whatever the number of interactions.
    """
    visible = exists().where(conversations.c.id == _I.conversation_id, conversations.c.deleted_at.is_(None))
    query = all_of(interactions, equals(_I.user_id), visible)
    if "model" in filters:
        query = query.where(equals(_I.model))
    if "needle" in filters:
        query = query.where(ContainsText(_I.prompt) | ContainsText(_I.reply))
    if "after_at" in filters:
        query = query.where(past(_I.created_at, _I.id))
    query = within(query, _I.created_at, filters)
    return Statement(query.order_by(*_NEWEST_FIRST).limit(limit()))


class SqlInteractions:
    """Interactions by id, by conversation and by person."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, interaction_id: InteractionId) -> Interaction | None:
        row = self._connection.one(_GET, id=interaction_id)
        return None if row is None else interaction_of(row)

    def turns(self, conversation_id: ConversationId, *, limit: int) -> list[Turn]:
        turns: list[Turn] = []
        for prompt, reply in reversed(self._connection.all(_TURNS, conversation_id=conversation_id, limit=limit)):
            turns += [Turn(Role.USER, prompt), Turn(Role.ASSISTANT, reply)]
        return turns

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        return self._connection.one(_RUNNING_IN, conversation_id=conversation_id, limit=1) is not None

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        return [id_ for (id_,) in self._connection.stream(_ASKED_TO_STOP, among=json.dumps(among))]

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        given = _place(after)
        statement = _of_conversation(frozenset(given))
        rows = self._connection.stream(statement, conversation_id=conversation_id, limit=limit, **given)
        return list(map(interaction_of, rows))

    def history(
        self, user_id: UserId, filters: HistoryFilter, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        wanted = {
            "model": filters.model,
            "start": filters.period.start,
            "end": filters.period.end,
            "needle": filters.text or None,
        }
        given = _place(after) | {name: value for name, value in wanted.items() if value is not None}
        rows = self._connection.stream(_history(frozenset(given)), user_id=user_id, limit=limit, **given)
        return list(map(interaction_of, rows))

    def add(self, interaction: Interaction) -> None:
        self._connection.put(
            _ADD,
            conversation_id=interaction.conversation_id,
            user_id=interaction.user_id,
            wallet_id=interaction.wallet_id,
            hold_id=interaction.hold_id,
            model=interaction.model,
            price_per_reply=interaction.price.per_reply,
            price_per_1k_prompt_tokens=interaction.price.per_1k_prompt_tokens,
            price_per_1k_completion_tokens=interaction.price.per_1k_completion_tokens,
            held=interaction.held,
            created_at=interaction.created_at,
            prompt=interaction.prompt,
            api_key_id=interaction.api_key_id,
            cached=interaction.cached,
            stop_asked_at=None,
            **_end(interaction),
        )

    def save(self, interaction: Interaction) -> None:
        self._connection.put(
            _SAVE, **_end(interaction), or_else=AlreadySettled(f"interaction {interaction.id} is not running")
        )

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        self._connection.put(_ASK_TO_STOP, id=interaction_id, stop_asked_at=at)

    def erase_texts(self, conversation_id: ConversationId) -> None:
        self._connection.put(_ERASE_TEXTS, conversation_id=conversation_id, prompt="", reply="")


def _place(after: Position | None) -> dict[str, Any]:
    return {} if after is None else {"after_at": after.at, "after_id": after.id}


def _end(interaction: Interaction) -> dict[str, Any]:
    return {
        "id": interaction.id,
        "outcome": interaction.outcome.value,
        "prompt_tokens": interaction.usage.prompt_tokens,
        "completion_tokens": interaction.usage.completion_tokens,
        "credits_charged": interaction.credits_charged,
        "balance_after": interaction.balance_after,
        "processing_time_ms": interaction.processing_time_ms,
        "finished_at": interaction.finished_at,
        "error_code": interaction.error_code,
        "error_detail": interaction.error_detail,
        "reply": interaction.reply,
    }


def interaction_of(row: Row) -> Interaction:
    """The interaction that a row of its table describes."""
    id_, conversation_id, user_id, wallet_id, hold_id, model, per_reply, per_prompt, per_completion, held = row[:10]
    created_at, outcome, prompt_tokens, completion_tokens, credits_charged, balance_after = row[10:16]
    # Last comes when it was asked to stop, which is a word to its writer and no part of what it is.
    processing_time_ms, finished_at, error_code, error_detail, prompt, reply, api_key_id, cached = row[16:-1]
    return Interaction(
        id=id_,
        conversation_id=conversation_id,
        user_id=user_id,
        wallet_id=wallet_id,
        hold_id=hold_id,
        model=model,
        price=Price(per_reply=per_reply, per_1k_prompt_tokens=per_prompt, per_1k_completion_tokens=per_completion),
        held=held,
        prompt=prompt,
        created_at=created_at,
        reply=reply,
        outcome=Outcome(outcome),
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens),
        credits_charged=credits_charged,
        balance_after=balance_after,
        processing_time_ms=processing_time_ms,
        finished_at=finished_at,
        error_code=error_code,
        error_detail=error_detail,
        api_key_id=api_key_id,
        cached=bool(cached),
    )
