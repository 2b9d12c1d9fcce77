"""Run by `nox -s bare` where only the core is installed: all of it imports, and the command line says what to do."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

CORE = (
    "chatbill.domain",
    "chatbill.application",
    "chatbill.adapters.memory",
    "chatbill.adapters.system",
    "chatbill.testing",
)


def import_all(package_name: str) -> int:
    """Import a package with all modules in it; returns how many there are."""
    package = importlib.import_module(package_name)
    inside = getattr(package, "__path__", [])
    found = [module.name for module in pkgutil.walk_packages(inside, f"{package_name}.")]
    for name in found:
        importlib.import_module(name)
    return 1 + len(found)


async def round_trip() -> None:
    """Register, buy credits, chat, and prove the books, all in memory."""
    # Behind everything else, so that chatbill itself is still the installed one.
    sys.path.append(str(Path(__file__).parent.parent))
    from chatbill.application.billing.top_up import Order  # noqa: PLC0415 - after the path is set
    from chatbill.application.chat.messages import Message  # noqa: PLC0415 - after the path is set
    from tests.kit.support import MINI, world  # noqa: PLC0415 - after the path is set

    service = world()
    person = await service.person()
    await service.use_cases.top_up(person, Order(package="small"))
    async for _ in await service.use_cases.send_message(person, Message(model=MINI, text="hello there")):
        pass
    balance = await service.use_cases.read_balance(person)
    if balance.available != 199:
        sys.exit(f"100 welcome credits, 100 bought and 1 spent must leave 199, but left {balance.available}")


def main() -> None:
    count = sum(map(import_all, CORE))
    told = subprocess.run([sys.executable, "-m", "chatbill"], capture_output=True, text=True, check=False, timeout=60)
    if told.returncode != 1 or "pip install 'chatbill[server]'" not in told.stderr or "Traceback" in told.stderr:
        sys.exit(f"chatbill without its service must say what to install, but said: {told.stderr or told.stdout}")
    asyncio.run(round_trip())
    sys.stdout.write(f"{count} modules of the core import with nothing but Python\n")


if __name__ == "__main__":
    main()
