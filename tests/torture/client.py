"""People who ask and pay without a pause, and a journal of what they were told, kept where no crash reaches it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.events import Completed
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import StoreUnavailable
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import RequestInProgress
from chatbill.domain.shared.ids import InteractionId, PaymentId, UserId, WalletId
from tests.kit.support import MINI

PAY_EVERY = 5

Note = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Told:
    """Somebody heard that this reply is whole."""

    name: str
    interaction_id: InteractionId
    reply: str
    charged: int


@dataclass(frozen=True)
class Paid:
    """Somebody heard that their credits are there."""

    name: str
    payment_id: PaymentId
    credits: int


@dataclass
class Journal:
    """Who asked for what, and what they were told. `people` are user and wallet."""

    people: list[tuple[UserId, WalletId]] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    told: dict[str, Told] = field(default_factory=dict)
    paid: dict[str, Paid] = field(default_factory=dict)

    def note(self, line: dict[str, Any]) -> None:
        """Take down one line of a client."""
        match line:
            case {"asked": name, "by": by}:
                self.asked[name] = by
            case {"told": name, "id": id_, "reply": reply, "charged": charged}:
                self.told[name] = Told(name, InteractionId(id_), reply, charged)
            case {"paid": name, "id": id_, "credits": credits_}:
                self.paid[name] = Paid(name, PaymentId(id_), credits_)
            case {"ended": name}:
                self.ended.add(name)
            case _:
                pass

    def unanswered(self, by: str) -> list[str]:
        """What this person asked for without hearing how it ended."""
        return [
            name
            for name, who in self.asked.items()
            if who == by and name not in self.told and name not in self.paid and name not in self.ended
        ]

    @property
    def answers(self) -> int:
        """How many promises were made."""
        return len(self.told) + len(self.paid)


class Client:
    """Asks for one thing after the other on a person's behalf. What was not answered before is asked for again."""

    def __init__(self, use_cases: UseCases, principal: Principal, note: Note, *, tag: str, again: list[str]) -> None:
        self._use_cases, self._principal, self._note = use_cases, principal, note
        self._tag, self._again = tag, again

    async def run(self, times: int) -> None:
        """So many requests; trouble of the store is waited out a moment and asked again."""
        for name in chain(self._again, map(self._name, range(times))):
            self._note({"asked": name, "by": self._principal.user_id})
            try:
                await (self._pay(name) if name.startswith("pay-") else self._ask(name))
            except (StoreUnavailable, RequestInProgress):
                await asyncio.sleep(0.05)

    def _name(self, number: int) -> str:
        return f"{'pay' if number % PAY_EVERY == PAY_EVERY - 1 else 'ask'}-{self._tag}-{number}"

    async def _ask(self, name: str) -> None:
        message = Message(model=MINI, text=f"{name} and back", idempotency_key=name)
        end = await (await self._use_cases.chat.send_message(self._principal, message)).finished()
        if isinstance(end, Completed):
            done = end.interaction
            self._note({"told": name, "id": done.id, "reply": done.reply, "charged": done.credits_charged})
        elif end.interaction.outcome is not Outcome.RUNNING:
            self._note({"ended": name})

    async def _pay(self, name: str) -> None:
        receipt = await self._use_cases.billing.place_order(self._principal, Order(amount=3, idempotency_key=name))
        if receipt.payment.balance_after is not None:
            self._note({"paid": name, "id": receipt.payment.id, "credits": receipt.payment.credits})


def to_text(principals: list[Principal]) -> str:
    """People, for the way into another process."""
    return json.dumps([[each.user_id, each.username, each.wallet_id] for each in principals])


def from_text(text: str) -> list[Principal]:
    """As `to_text` wrote them."""
    return [
        Principal(
            user_id=UserId(user_id),
            username=name,
            email=f"{name}@example.org",
            role=UserRole.USER,
            wallet_id=WalletId(wallet_id),
        )
        for user_id, name, wallet_id in json.loads(text)
    ]
