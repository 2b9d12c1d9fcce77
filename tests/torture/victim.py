"""What `crash_embedded` kills: a process that embeds the use cases and works as hard as it can.

The program imports everything and rehearses once. Then it makes a victim for each line it reads, by forking while it
has but one thread and no database open. So a cycle costs what the crash costs, not what Python needs to begin.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from tests.torture.client import PAY_EVERY, Client, from_text
from tests.torture.databases import Database
from tests.torture.service import service

CLIENTS_EACH = 2
ENDLESS = 100_000


def note(line: dict[str, Any]) -> None:
    """Tell whoever reads the pipe; so short a line goes as a whole or not at all."""
    os.write(sys.stdout.fileno(), (json.dumps(line) + "\n").encode())


async def work(order: dict[str, Any]) -> None:
    """Ask and pay without an end, two clients for each person."""
    use_cases = service(Database(order["url"]).open())
    clients = []
    for principal in from_text(order["people"]):
        for number in range(CLIENTS_EACH):
            again = order["again"][principal.user_id][number::CLIENTS_EACH]
            tag = f"{order['cycle']}-{principal.username}-{number}"
            clients.append(Client(use_cases, principal, note, tag=tag, again=again))
    note({"working": os.getpid()})
    await asyncio.gather(*(client.run(ENDLESS) for client in clients))


async def rehearse(order: dict[str, Any]) -> None:
    """What a victim does, for a moment, and in silence; every thread and connection is gone after it."""
    store = Database(order["url"]).open()
    client = Client(service(store), from_text(order["people"])[0], lambda _: None, tag="rehearsal", again=[])
    await client.run(PAY_EVERY)
    await store.close()


def main() -> None:
    """A victim a line; when it is dead, say so."""
    asyncio.run(rehearse(json.loads(sys.argv[1])))
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                asyncio.run(work(json.loads(line)))
            finally:
                os._exit(1)
        note({"victim": pid})
        _, status = os.waitpid(pid, 0)
        note({"dead": pid, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0})


if __name__ == "__main__":
    main()
