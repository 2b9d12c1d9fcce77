"""A chat with one user and an engine that the test controls."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.events import Event
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Price
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.ids import ModelId
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, World, world

TOKEN_PRICED = ModelId("by-token")
WITH_TOKENS = Catalogue(
    (
        *CATALOGUE.values(),
        Model(
            id=TOKEN_PRICED,
            name="By token",
            tier=Tier.PRO,
            price=Price(per_reply=1, per_1k_prompt_tokens=100, per_1k_completion_tokens=500),
            context_tokens=2_048,
            max_reply_tokens=20,
        ),
    )
)


@dataclass
class Scene:
    """Somebody with 100 credits, and an engine that does what it is told."""

    world: World
    engine: ControlledEngine
    alice: Principal

    async def send(self, text: str = "Hello", model: str = "demo-mini", **more: object) -> Reply:
        reply = await self.world.use_cases.chat.send_message(self.alice, Message(model=model, text=text, **more))  # type: ignore[arg-type]
        assert isinstance(reply, Reply)
        return reply

    async def wallet(self) -> Wallet:
        return await self.world.use_cases.billing.read_balance(self.alice)

    def purse(self, **state: int) -> Wallet:
        """Alice's wallet in this state."""
        return Wallet(id=self.alice.wallet_id, owner=Owner(USER, self.alice.user_id), **state)

    async def assert_books_agree(self) -> None:
        differences: list[object] = []
        verdict = await self.world.use_cases.audit.verify_ledger(differences.append)
        assert verdict.agrees, differences


async def scene(**options: object) -> Scene:
    engine = ControlledEngine(WITH_TOKENS)
    here = world(engine=engine, catalogue=WITH_TOKENS, **options)  # type: ignore[arg-type]
    return Scene(here, engine, await here.person())


async def events_of(reply: Reply | Replay) -> list[Event]:
    return [event async for event in reply]


async def taken(reply: Reply, count: int) -> list[Event]:
    """The first `count` events; the stream stays open."""
    stream = aiter(reply)
    return [await anext(stream) for _ in range(count)]
