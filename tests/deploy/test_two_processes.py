"""Two processes on one PostgreSQL behind the real nginx and Caddy, with the configurations in `deploy/`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit.deployment import DEPLOY
from tests.kit.postgres import shared
from tests.kit.proxies import Proxy, caddy, free_port, make_certificate, nginx, wait_for
from tests.kit.waiting import eventually
from tests.service.process import Service, events

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

NGINX = (DEPLOY / "nginx" / "chatbill.conf").read_text(encoding="utf-8").replace("443", "PORT")
CADDY = (DEPLOY / "caddy" / "Caddyfile").read_text(encoding="utf-8")
for here, there in (("{$DOMAIN}", "http://127.0.0.1:PORT"), ("email {$ACME_EMAIL}", "admin off")):
    CADDY = CADDY.replace(here, there)
COOKIES = [f"__Host-chatbill_session=token-{number}" for number in range(12)]


@dataclass
class Pair:
    """Two processes behind a proxy."""

    services: list[Service]
    url: str

    def client(self, **headers: str) -> httpx.AsyncClient:
        # The certificate is the test's own.
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, verify=False)  # noqa: S501

    async def person(self) -> httpx.AsyncClient:
        """Return a client of a new person."""
        return self.client(Authorization=f"Bearer {await self.services[0].person()}")

    def at(self, address: str) -> Service:
        """Return the process that listens at an address."""
        (found,) = (service for service in self.services if service.url.endswith(address))
        return found


def end(service: Service) -> None:
    if service.url:
        service.kill()


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """Return a function that starts two processes, and a proxy before them."""
    with ExitStack() as running:

        def start(proxy: Callable[[Path], Proxy], server: str, scheme: str) -> Pair:
            port, url = free_port(), shared().empty()
            variables = {"CHATBILL_DATABASE_URL": url, "CHATBILL_SECRET_KEY": "k" * 40}
            variables["CHATBILL_TRUSTED_PROXIES"] = "127.0.0.1"
            services: list[Service] = []
            for number in range(2):
                services.append(Service(tmp_path / f"data-{number}", variables).start())
                running.callback(end, services[-1])
                server = re.sub(rf"(127\.0\.0\.1:800{number}|chatbill-{number + 1}:8000)", services[-1].url[7:], server)
            make_certificate(tmp_path)
            process = proxy(tmp_path).started(tmp_path, server.replace("PORT", str(port)))
            running.callback(lambda: process.wait(10))
            running.callback(process.terminate)
            wait_for(port)
            return Pair(services, f"{scheme}://127.0.0.1:{port}")

        yield start


@pytest.fixture
def pair(behind: Callable[..., Pair]) -> Pair:
    return behind(nginx, NGINX, "https")


async def answered_by(client: httpx.AsyncClient, cookie: str = "") -> str:
    """Return the address of the process that nginx asked at last."""
    headers = {"Cookie": cookie} if cookie else {}
    answer = (await client.get("/health", headers=headers)).raise_for_status()
    return answer.headers["X-Answered-By"].split(", ")[-1]


async def send(client: httpx.AsyncClient, message: str, **headers: str) -> httpx.Response:
    return await client.post("/chat/message", json={"model": "demo-mini", "message": message}, headers=headers)


async def test_a_browser_stays_at_one_process_and_browsers_are_spread(pair: Pair) -> None:
    async with pair.client() as client:
        seen = {cookie: {await answered_by(client, f"theme=dark; {cookie}") for _ in range(4)} for cookie in COOKIES}
    assert [cookie for cookie, processes in seen.items() if len(processes) != 1] == []
    assert len(set.union(*seen.values())) == 2


async def test_a_client_of_the_api_uses_every_process(pair: Pair) -> None:
    async with await pair.person() as client:
        assert len({await answered_by(client) for _ in range(40)}) == 2


async def test_words_are_passed_on_before_the_reply_ends(pair: Pair) -> None:
    async with await pair.person() as client:
        body = {"model": "demo-mini", "message": "one two three [[pause:20]]"}
        lines = []
        async with client.stream("POST", "/chat/message", json=body, headers={"Accept": "text/event-stream"}) as stream:
            async for line in stream.aiter_lines():
                lines.append(line)
                if line == "event: delta":
                    (interaction,) = [data["id"] for name, data in events(lines) if name == "accepted"]
                    await client.post(f"/chat/interactions/{interaction}/stop")
        name, done = events(lines)[-1]
        assert (name, done["outcome"]) == ("done", "stopped")


async def test_every_message_is_answered_once_while_a_process_is_down(pair: Pair) -> None:
    async with await pair.person() as client:
        assert pair.services[1].stop() == 0
        answers = [await send(client, f"hello {number}") for number in range(12)]
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.get("/billing/balance")).json() == {"balance": 88, "held": 0, "available": 88}


async def test_processes_that_restart_one_right_after_the_other_are_asked_again_at_once(pair: Pair) -> None:
    async with await pair.person() as client:
        for service in pair.services:
            service.port = urlsplit(service.url).port or 0
            service.stop()
            assert {(await client.get("/health")).status_code for _ in range(4)} == {200}
            service.start()
        assert len({await answered_by(client) for _ in range(40)}) == 2


async def test_a_message_that_was_sent_is_never_sent_to_another_process(pair: Pair) -> None:
    cookie = COOKIES[0]
    async with await pair.person() as client:
        writer = pair.at(await answered_by(client, cookie))
        sent = asyncio.create_task(send(client, "hello [[sleep:60]]", Cookie=cookie))

        async def held() -> bool:
            return bool((await client.get("/billing/balance")).json()["held"] == 1)

        await eventually(held)
        writer.kill()
        assert (await sent).status_code == 502
        assert await held()
        assert await answered_by(client, cookie) != writer.url.removeprefix("http://")


async def test_caddy_keeps_a_browser_at_one_process_and_goes_on_with_the_other(behind: Callable[..., Pair]) -> None:
    pair = behind(lambda folder: replace(caddy(folder), frame="SERVER"), CADDY, "http")
    browsers = [pair.client() for _ in range(12)]
    async with AsyncExitStack() as open_browsers:
        for browser in browsers:
            await open_browsers.enter_async_context(browser)
            (await browser.get("/health")).raise_for_status()
        kept = [browser.cookies["chatbill_process"] for browser in browsers]
        assert len(set(kept)) == 2
        again = [(await browser.get("/health")).headers.get("set-cookie") for browser in browsers]
        assert again == [None] * len(browsers)
        person = await open_browsers.enter_async_context(await pair.person())
        assert pair.services[1].stop() == 0
        answers = [await browser.get("/health") for browser in browsers]
        assert {answer.status_code for answer in answers} == {200}
        assert len({browser.cookies["chatbill_process"] for browser in browsers}) == 1
        assert {(await send(person, f"hello {number}")).status_code for number in range(6)} == {200}
