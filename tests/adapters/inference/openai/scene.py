"""A user, a wallet, and an engine with a model on a test server."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from chatbill.adapters.inference.catalogue.model_spec import Sampling, domain_catalogue
from chatbill.adapters.inference.openai import OpenAIEngine, Timeouts
from chatbill.application.chat.events import End, Event
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.engine import ModelStatus
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Price
from chatbill.domain.shared.ids import ModelId
from tests.adapters.inference.openai.fake_servers import Handler, ScriptedServer, on_server, scripted_server, works
from tests.kit.support import World, world

MINI = ModelId("demo-mini")
QUICK = Timeouts(connect_s=0.5, first_token_s=1, between_tokens_s=1, whole_s=10, backoff_s=0.01, max_retry_after_s=1)
PRICE = Price(per_reply=1, per_1k_prompt_tokens=100, per_1k_completion_tokens=500)
"""Each token shows in the price."""


@dataclass
class Scene:
    """Alice has 10,000 credits and sends messages to the model of a server."""

    server: ScriptedServer
    engine: OpenAIEngine
    world: World
    alice: Principal

    async def send(self, text: str = "Hello there", **more: Any) -> Reply:
        """Send her message, and return the reply once it is accepted."""
        reply = await self.world.use_cases.chat.send_message(self.alice, Message(model=MINI, text=text, **more))
        assert isinstance(reply, Reply)
        return reply

    async def end(self, text: str = "Hello there", **more: Any) -> End:
        """Return the end of her message, once nothing is held and the ledger agrees."""
        reply = await self.send(text, **more)
        end = await reply.finished()
        await self.check(end)
        return end

    async def check(self, end: End) -> None:
        """Check that nothing is held and that the ledger agrees."""
        wallet = await self.world.use_cases.billing.read_balance(self.alice)
        assert wallet.held == 0
        differences: list[object] = []
        assert (await self.world.use_cases.audit.verify_ledger(differences.append)).agrees, differences
        assert end.interaction.usage.prompt_tokens >= 0

    @property
    def status(self) -> ModelStatus:
        """Return the status of the model."""
        return self.engine.status()[MINI]


@contextlib.asynccontextmanager
async def scene(
    handler: Handler = works,
    *,
    timeouts: Timeouts = QUICK,
    probe_s: float = 30,
    max_queued: int = 10,
    key: str | None = None,
    source: dict[str, Any] | None = None,
    probed: Handler = works,
    first_token_s: float = math.inf,
    sampling: Sampling | None = None,
) -> AsyncIterator[Scene]:
    """Start the engine for the scene, and close it at the end."""
    async with scripted_server(handler, probed=probed) as server:
        variable = "SOME_KEY" if key else ""
        specs = tuple(
            replace(spec, price=PRICE, sampling=sampling or spec.sampling)
            for spec in on_server(server.url, api_key_env=variable, **(source or {}))
        )
        engine = OpenAIEngine(
            specs[:1], key={"SOME_KEY": key}.get, timeouts=timeouts, probe_s=probe_s, max_queued=max_queued
        )
        everything = world(
            engine=engine, catalogue=domain_catalogue(specs), welcome_credits=10_000, first_token_s=first_token_s
        )
        await engine.start()
        try:
            yield Scene(server, engine, everything, await everything.person())
        finally:
            await everything.use_cases.chat.replies.drain(grace_s=0)
            await engine.close()


async def events_of(reply: Reply) -> list[Event]:
    """Return all events of the reply."""
    return [event async for event in reply]
