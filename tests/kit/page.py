"""People who use the page without a browser: they ask for views and send actions as its scripts do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import ASGIApp

from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import ConversationId
from chatbill.entrypoints.ui import WebConfig, create_web
from tests.kit.support import MINI, PASSWORD, World

SITE = "http://chat.example.org"


@dataclass
class Person:
    """A person who has the page open."""

    here: World
    client: httpx.AsyncClient
    principal: Principal

    async def view(self, path: str, **asked: str) -> str:
        """Return the fragment of a view, or of a part of one below /web."""
        address = path if path.startswith("/web/") else f"/web/views/{path}"
        answer = await self.client.get(address, params={name.rstrip("_"): value for name, value in asked.items()})
        assert answer.status_code == 200, answer.text
        return answer.text

    async def act(self, path: str, **fields: str) -> dict[str, Any]:
        """Send an action that succeeds, and return its answer."""
        answer = await self.client.post(path, json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def balance(self) -> int:
        return (await self.here.use_cases.billing.read_balance(self.principal)).posted

    async def says(self, text: str, model: str = MINI, conversation: ConversationId | None = None) -> Interaction:
        """Send a message, and return the interaction when the reply is whole."""
        message = Message(model=model, text=text, conversation_id=conversation)
        reply = await self.here.use_cases.chat.send_message(self.principal, message)
        await reply.finished()
        self.here.clock.advance(60)
        found = await self.here.use_cases.chat.find_turns(self.principal, [reply.accepted.interaction_id])
        return found[reply.accepted.interaction_id]


@dataclass
class Page:
    """The page and the people who use it."""

    here: World
    web: ASGIApp
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def person(self, name: str = "alice", language: str = "en") -> Person:
        """Return a new person."""
        headers = {"Origin": SITE, "Accept-Language": language}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.web), base_url=SITE, headers=headers)
        self.clients.append(client)
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        answer = await client.post("/web/registration", json=account)
        assert answer.status_code == 200, answer.text
        principal = await self.here.use_cases.accounts.web_authenticate(client.cookies["chatbill_session"])
        return Person(self.here, client, principal)


@asynccontextmanager
async def page(here: World, config: WebConfig | None = None) -> AsyncIterator[Page]:
    """Open the page over this world."""
    made = Page(here, create_web(here.use_cases, config=config))
    try:
        yield made
    finally:
        for client in made.clients:
            await client.aclose()
