"""Serves the page and the API over memory: `python -m tests.browser.server WELCOME_CREDITS [verbatim]`.

With `verbatim`, each reply is the message itself. There is an administrator, `root`. The questions of the guide have
answers, because its pictures show a chat.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import replace
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Generation, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.entrypoints.http import HttpConfig, create_app
from chatbill.entrypoints.ui import WebConfig, create_web, end_streams
from chatbill.service import SANDBOX_NOTE
from tests.kit.engines import VerbatimEngine
from tests.kit.staff import member
from tests.kit.support import CATALOGUE, RunningClock, world

ANSWERS = {
    "How do tides work?": (
        "The Moon pulls the water on the near side of the Earth more than the Earth itself, and the water on the far "
        "side less. So the sea bulges on **both** sides:\n\n"
        "- *High tide*: your coast is under a bulge.\n"
        "- *Low tide*: it is between the two.\n\n"
        "The Sun does the same, about half as strongly."
    ),
    "And why twice a day?": (
        "The Earth turns under the two bulges once in about 24 hours and 50 minutes, so a coast meets each of them "
        "once: two high tides, 12 hours and 25 minutes apart."
    ),
    "Thank you!": "You are welcome!",
    "Как устроены приливы?": (
        "Луна притягивает воду на ближней стороне Земли сильнее, чем саму Землю, а на дальней слабее. Поэтому море "
        "поднимается с **обеих** сторон:\n\n"
        "- *Прилив*: берег под одним из горбов.\n"
        "- *Отлив*: берег между ними.\n\n"
        "Солнце действует так же, но примерно вдвое слабее."
    ),
    "А почему дважды в день?": (
        "Земля проворачивается под двумя горбами примерно за 24 часа 50 минут, и берег встречает каждый из них один "
        "раз: два прилива с промежутком в 12 часов 25 минут."
    ),
    "Спасибо!": "Пожалуйста!",
}


class AnsweringEngine(ScriptedEngine):
    """The scripted engine, which also knows the answers of the guide, a few words at a time."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return the answer, or what the script says."""
        if answer := ANSWERS.get(request.turns[-1].text):
            turns = (*request.turns[:-1], Turn(Role.USER, answer))
            return await VerbatimEngine(CATALOGUE).prepare(replace(request, turns=turns))
        return await super().prepare(request)


class PromptServer(uvicorn.Server):
    """A server that closes the event streams of open pages when it stops."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning"))
        self._web = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(end_streams, self._web)
        super().handle_exit(sig, frame)


async def main(welcome_credits: int, kind: str = "scripted") -> None:
    engine = VerbatimEngine(CATALOGUE) if kind == "verbatim" else AnsweringEngine(CATALOGUE)
    served = world(engine=engine, clock=RunningClock(), welcome_credits=welcome_credits, deadline_s=120)
    await member(served)
    api = cast("ASGIApp", create_app(served.use_cases, HttpConfig(engine="scripted")))
    app = create_web(served.use_cases, api, WebConfig(payment_note=SANDBOX_NOTE))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        await PromptServer(app).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
