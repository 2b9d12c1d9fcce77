"""Serves the page and the API over memory: `python -m tests.browser.server WELCOME_CREDITS [verbatim]`.

With `verbatim`, each reply is the message itself. There is an administrator, `root`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.entrypoints.http import HttpConfig, create_app
from chatbill.entrypoints.ui import WebConfig, create_web, end_streams
from chatbill.service import SANDBOX_NOTE
from tests.kit.engines import VerbatimEngine
from tests.kit.staff import member
from tests.kit.support import CATALOGUE, RunningClock, world


class PromptServer(uvicorn.Server):
    """A server that closes the event streams of open pages when it stops."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning"))
        self._web = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(end_streams, self._web)
        super().handle_exit(sig, frame)


async def main(welcome_credits: int, kind: str = "scripted") -> None:
    engine = VerbatimEngine(CATALOGUE) if kind == "verbatim" else ScriptedEngine(CATALOGUE)
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
