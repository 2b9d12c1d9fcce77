"""Clients that flood a service, keep silent, never read, or store without paying; meanwhile people use it.

Everything is measured from outside, by HTTP and by the operating system.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.service.process import Service
from tests.torture.bench import Figures, Task

EMOJI = "\N{GRINNING FACE}" * 31_900
SIGN_INS_PER_S = 57
SIGNED_IN_REQUESTS = 18
HUNG_UP = 150
SILENT = 45
BOUND = 40
READERS = 20
MESSAGES = 100
LONGEST_S = {"request": 2.0, "sign-in": 2.0, "loop": 0.3}
"""How long a request of a signed-in person, a sign-in, and another request beside a long one may take."""
MOST_GROWTH_MB = 64
MOST_UNPAID_MB = 10
OPEN = {
    "CHATBILL_WELCOME_CREDITS": "1000000",
    "CHATBILL_REGISTRATIONS_PER_HOUR": "0",
    "CHATBILL_REGISTRATIONS_IN_ALL_PER_HOUR": "0",
    "CHATBILL_LOG_LEVEL": "error",
}
PASSWORD = "correct horse battery"
FRUITLESS = {"username": "nobody", "password": "guess 1 guess"}
MB = 1_000_000
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Report:
    """The table of an experiment, and the promises that were broken."""

    lines: list[str] = field(default_factory=lambda: ["what | figure"])
    problems: list[str] = field(default_factory=list)

    def note(self, what: str, figure: str, *, broken: bool = False) -> None:
        """Add a line; a figure that breaks a promise is a problem as well."""
        self.lines.append(f"{what} | {figure}")
        if broken:
            self.problems.append(f"{what}: {figure}")


def run(task: Task) -> Figures:
    """Run each attack on a service of its own. The size is how long the flood of sign-ins lasts, in seconds."""
    report = Report()
    attacks: list[tuple[dict[str, str], Callable[[Service], Awaitable[None]]]] = [
        ({"CHATBILL_MAX_CONNECTIONS": str(BOUND)}, lambda service: sign_ins(service, report, task.size, "wrong")),
        ({}, lambda service: sign_ins(service, report, task.size, "right")),
        ({}, lambda service: hung_up(service, report)),
        ({"CHATBILL_MAX_CONNECTIONS": str(BOUND)}, lambda service: silent(service, report)),
        ({}, lambda service: never_read(service, report)),
        ({}, lambda service: unpaid(service, report, task.folder)),
    ]
    for number, (environment, attack) in enumerate(attacks):
        service = Service(task.folder / str(number), OPEN | environment).start()
        asyncio.run(attack(service))  # type: ignore[arg-type]
        try:
            service.stop()
        except subprocess.TimeoutExpired:
            report.note("a service that stops after a flood", "not within 30 s", broken=True)
            service.kill()
        service.verify()
    return Figures(
        attempts=len(attacks),
        successes=len(attacks),
        problems=report.problems,
        notes="`chatbill ledger verify` exits 0 after each attack",
        lines=report.lines,
    )


@contextlib.asynccontextmanager
async def flood(service: Service, name: str, password: str) -> AsyncIterator[Counter[object]]:
    """Sign in so many times a second, each time on a connection of its own, and count the answers."""
    answers: Counter[object] = Counter()
    tasks: set[asyncio.Task[None]] = set()

    async def once(number: int) -> None:
        body = {"username": name.format(number), "password": password}
        try:
            [(reader, writer)] = await connect(service, 1, sign_in_request(body))
            answers[int((await reader.readuntil(b"\r\n")).split()[1])] += 1
            writer.close()
        except (OSError, EOFError) as error:
            answers[type(error).__name__] += 1

    async def steadily() -> None:
        began = time.monotonic()
        for number in range(10**6):
            await asyncio.sleep(max(0, began + number / SIGN_INS_PER_S - time.monotonic()))
            task = asyncio.create_task(once(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    flooding = asyncio.create_task(steadily())
    try:
        yield answers
    finally:
        for each in (flooding, *tasks):
            each.cancel()
        await asyncio.wait({flooding, *tasks})


async def sign_ins(service: Service, report: Report, seconds: int, which: str) -> None:
    """Signed-in people send requests while passwords flood in: wrong ones for many names, or the right one of one."""
    token, _ = await service.person("alice"), await service.person("mallory")
    name, password = ("name{}", FRUITLESS["password"]) if which == "wrong" else ("mallory", PASSWORD)
    statuses, times = Counter[object](), list[float]()
    async with service.client(token) as alice, flood(service, name, password) as answers:
        for number in range(SIGNED_IN_REQUESTS):
            await asyncio.sleep(seconds / SIGNED_IN_REQUESTS)
            began = time.monotonic()
            message = {"model": "demo-mini", "message": f"hello {number}"}
            try:
                statuses[(await alice.post("/chat/message", json=message)).status_code] += 1
            except httpx.HTTPError as error:
                statuses[type(error).__name__] += 1
            times.append(time.monotonic() - began)
        flooded = dict(answers)
    what = f"{which} passwords, {SIGN_INS_PER_S} a second: "
    report.note(f"{what}signed-in requests answered", f"{statuses[200]} of 18", broken=statuses[200] < len(times))
    if len(statuses) > 1:
        report.note(f"{what}all of them", str(dict(statuses)))
    report.note(f"{what}longest of them", f"{max(times):.2f} s", broken=max(times) > LONGEST_S["request"])
    report.note(f"{what}answers to the flood", json.dumps({str(key): flooded[key] for key in flooded}))


async def hung_up(service: Service, report: Report) -> None:
    """A person signs in behind clients that have sent a password and disconnected."""
    await service.person("alice")
    for _, writer in await connect(service, HUNG_UP, sign_in_request(FRUITLESS)):
        await writer.drain()
        writer.close()
    async with service.client() as client:
        began = time.monotonic()
        answer = await client.post("/auth/login", json={"username": "alice", "password": PASSWORD})
    took = time.monotonic() - began
    broken = took > LONGEST_S["sign-in"] or answer.status_code != httpx.codes.OK
    figure = f"{answer.status_code} in {took:.2f} s"
    report.note(f"a sign-in behind {HUNG_UP} whose clients left", figure, broken=broken)


async def silent(service: Service, report: Report) -> None:
    """A person connects to a service all of whose connections are held by silent sockets of the same address."""
    sockets = await connect(service, SILENT, b"")
    began, refused = time.monotonic(), 0
    async with service.client() as client:
        while (await client.get("/health")).status_code != httpx.codes.OK:
            refused += 1
            await asyncio.sleep(0.1)
    figure = f"answered after {time.monotonic() - began:.2f} s, refused {refused} times"
    report.note(f"a request beside {SILENT} silent sockets, bound {BOUND}", figure, broken=refused > 0)
    for _, writer in sockets:
        writer.close()


async def never_read(service: Service, report: Report) -> None:
    """Clients ask for the longest pages and read nothing; then one reads them while another asks for its health."""
    assert service.process
    token = await service.person("alice")
    async with service.client(token) as alice:
        message = {"model": "demo-mini", "message": EMOJI + "[[tokens:1]]"}
        first = (await alice.post("/chat/message", json=message)).raise_for_status().json()
        for _ in range(MESSAGES - 1):
            body = message | {"conversation_id": first["conversation_id"]}
            (await alice.post("/chat/message", json=body)).raise_for_status()
        path = f"/chat/conversations/{first['conversation_id']}?limit=100"
        process = psutil.Process(service.process.pid)
        before = process.memory_info().rss
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        readers = await connect(service, READERS, head)
        highest = before
        for _ in range(100):
            highest = max(highest, process.memory_info().rss)
            await asyncio.sleep(0.1)
        for _, writer in readers:
            writer.transport.abort()
        grown = (highest - before) / MB
        figure = f"{before / MB:.0f} MB to {highest / MB:.0f} MB"
        report.note(f"memory with {READERS} clients that never read", figure, broken=grown > MOST_GROWTH_MB)
        async with slowest_health(service) as slowest:
            sizes = [len((await alice.get(path)).content) for _ in range(5)]
        report.note(f"a page of {MESSAGES} messages of 31,900 emoji", f"{max(sizes) / MB:.1f} MB")
        broken = max(slowest) > LONGEST_S["loop"]
        report.note("longest GET /health beside it", f"{max(slowest):.2f} s", broken=broken)


@contextlib.asynccontextmanager
async def slowest_health(service: Service) -> AsyncIterator[list[float]]:
    """Ask for the health of the service without a pause, and keep the times."""
    times = [0.0]

    async def ask() -> None:
        async with service.client() as client:
            while True:
                began = time.monotonic()
                await client.get("/health")
                times.append(time.monotonic() - began)
                await asyncio.sleep(0.002)

    asking = asyncio.create_task(ask())
    try:
        yield times
    finally:
        asking.cancel()
        await asyncio.wait({asking})


async def unpaid(service: Service, report: Report, folder: Path) -> None:
    """Leave long messages as soon as they are accepted, ten at a time."""
    token = await service.person("alice")
    before = size_of(folder)
    statuses: Counter[int] = Counter()

    async def leave(client: httpx.AsyncClient) -> None:
        body = {"model": "demo-mini", "message": EMOJI + "[[sleep:9]]"}
        headers = {"Accept": "text/event-stream"}
        async with client.stream("POST", "/chat/message", json=body, headers=headers) as answer:
            statuses[answer.status_code] += 1
            async for line in answer.aiter_lines():
                if line == "event: accepted":
                    return

    async with service.client(token) as alice:
        for _ in range(MESSAGES // 10):
            await asyncio.gather(*(leave(alice) for _ in range(10)))
        await asyncio.sleep(1)
        spent = OPEN["CHATBILL_WELCOME_CREDITS"], (await alice.get("/billing/balance")).json()["balance"]
    grown = (size_of(folder) - before) / MB
    figure = f"{statuses[200]} accepted, {int(spent[0]) - spent[1]} credits, {grown:.1f} MB of disk"
    report.note(f"{MESSAGES} messages of 31,900 emoji, left", figure, broken=grown > MOST_UNPAID_MB)


def sign_in_request(body: dict[str, str]) -> bytes:
    """Return a whole request."""
    content = json.dumps(body).encode()
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


async def connect(service: Service, count: int, request: bytes) -> list[Stream]:
    """Open so many connections and send this on each. Nothing is read, beyond what the system takes."""
    host, port = service.url.removeprefix("http://").split(":")
    streams = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host, int(port), limit=1_024)
        writer.write(request)
        streams.append((reader, writer))
    return streams


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
