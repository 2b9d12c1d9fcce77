"""What the state machine asks of every world at once, and what it sees there."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chatbill.application.accounts.create_api_key import IssuedKey
from chatbill.application.billing.charges import Charge
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import Snapshot
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.ids import ConversationId, PaymentId
from tests.kit.ledger_model import Asked, ToldEngine, Writing
from tests.kit.support import World


@dataclass(frozen=True)
class Question:
    """What somebody asks, in every world at once; `conversation` is its number there, None for a new one.

    `api_key` is the number of the key that it comes with. The same question with another key is the same question.
    """

    name: str
    model: str
    words: int
    max_tokens: int
    key: str | None
    conversation: int | None
    api_key: int | None = field(default=None, compare=False)

    @property
    def prompt(self) -> str:
        return " ".join(["word"] * self.words)

    def message(self, conversation_id: ConversationId | None) -> Message:
        return Message(
            model=self.model,
            text=self.prompt,
            max_tokens=self.max_tokens,
            conversation_id=conversation_id,
            idempotency_key=self.key,
        )


@dataclass
class Running:
    """A reply in the making, in every world at once."""

    asked: Asked
    replies: list[Reply]
    writings: list[Writing]
    max_tokens: int


@dataclass
class Side:
    """One world: a store with every use case over it."""

    world: World
    engine: ToldEngine
    people: dict[str, Principal] = field(default_factory=dict)
    conversations: list[ConversationId] = field(default_factory=list)
    api_keys: list[IssuedKey] = field(default_factory=list)
    payments: list[PaymentId] = field(default_factory=list)
    captions: list[tuple[AbstractAsyncContextManager[Charge], Charge]] = field(default_factory=list)

    async def who_asks(self, question: Question) -> Principal:
        """Whoever signed in, or whose key it is."""
        if question.api_key is None:
            return self.people[question.name]
        return await self.world.use_cases.accounts.authenticate_key(self.api_keys[question.api_key].text)

    async def seen_by(self, name: str) -> tuple[Any, list[Any], list[Any]]:
        """What a person sees of their own: wallet, history, transactions."""
        mine, use_cases = self.people[name], self.world.use_cases
        history = await use_cases.chat.list_history(mine, limit=100)
        transactions = await use_cases.billing.list_transactions(mine, limit=100)
        # Tokens come in real time, which is another one in each world.
        items = [replace(item, first_token_ms=None) for item in history.items]
        return await use_cases.billing.read_balance(mine), items, transactions.items

    async def api_keys_of(self, name: str) -> list[tuple[object, ...]]:
        """What a person sees of their keys, the oldest first."""
        states = await self.world.use_cases.accounts.list_api_keys(self.people[name])
        return [
            (
                state.key.name,
                state.key.monthly_cap,
                state.key.created_at,
                state.key.expires_at,
                state.key.last_used_at,
                state.is_live,
                state.used_this_month,
            )
            for state in states
        ]

    async def used(self, api_key: int, month: datetime) -> int:
        """What the store says that the key used in a month, revoked or not."""
        key_id = self.api_keys[api_key].key.id

        def query(snapshot: Snapshot) -> int:
            found = snapshot.api_keys.month(key_id, month)
            return found.used if found else 0

        return await self.world.store.read(query)


async def code_of(act: Awaitable[object]) -> str | None:
    """The stable word of the error that it raises, if any."""
    try:
        await act
    except ChatbillError as error:
        return error.code
    return None


def expected_again(known: tuple[object, object], request: object) -> str | None:
    """What becomes of a request whose key came before."""
    first, result = known
    if first != request:
        return "idempotency_mismatch"
    if isinstance(result, Asked):
        return "request_in_progress" if result.outcome == "running" else None
    return str(result)
