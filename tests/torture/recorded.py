"""What `power_cut` records: people who ask and pay through a store that is opened and closed three times."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from chatbill.adapters.persistence import SqliteStore
from tests.torture.client import Client, from_text
from tests.torture.service import service

SESSIONS = 3
ANSWERS = "answers"
"""The file that takes down each answer; being on the recorded disk, it is in order with what was written there."""


async def work(path: Path, people: str, times: int) -> None:
    """Ask and pay so often, each client."""
    answers = os.open(path.parent / ANSWERS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(line: dict[str, Any]) -> None:
        os.write(answers, (json.dumps(line) + "\n").encode())

    for session in range(SESSIONS):
        store = SqliteStore(path)
        use_cases = service(store)
        clients = [
            Client(use_cases, each, note, tag=f"{session}-{number}-{each.username}", again=[])
            for each in from_text(people)
            for number in range(2)
        ]
        await asyncio.gather(*(client.run(times) for client in clients))
        await store.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
