"""The web app over memory and the scripted engine: `python -m tests.browser.server WELCOME_CREDITS`."""

from __future__ import annotations

import asyncio
import socket
import sys
from datetime import UTC, datetime

import uvicorn

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.memory import ManualClock
from chatbill.entrypoints.ui import WebConfig, create_web
from tests.support import CATALOGUE, world


class RunningClock(ManualClock):
    """A clock that nobody needs to move."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


async def main(welcome_credits: int) -> None:
    served = world(
        engine=ScriptedEngine(CATALOGUE), clock=RunningClock(), welcome_credits=welcome_credits, deadline_s=120
    )
    app = create_web(served.use_cases, None, WebConfig(payment_note="This is a test: no money is taken."))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
