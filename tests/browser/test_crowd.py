"""Many people with the page open at once. Needs no browser: it reads the event connections of their pages."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

pytestmark = pytest.mark.slow


async def test_thirty_people_see_their_own_balance_soon_after_each_charge(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=60) as api:
        late = await asyncio.gather(*(_lateness(api, address, number) for number in range(30)))
    print(f"balances came after {sorted(late)[15]:.2f} s, the last after {max(late):.2f} s")  # noqa: T201 - a figure
    assert max(late) < 10  # 1 s where nothing else runs on the machine


async def _lateness(api: httpx.AsyncClient, address: str, number: int) -> float:
    """Register, watch the events of the page, spend by the API; return the seconds until the page is told."""
    password, name = "correct horse battery staple", f"crowd{number}"
    fields = {"username": name, "email": f"{name}@example.org", "password": password}
    async with httpx.AsyncClient(base_url=address, timeout=60, headers={"Origin": address}) as page:
        (await page.post("/web/registration", json=fields)).raise_for_status()
        token = (await api.post("/auth/login", json={"username": name, "password": password})).json()["access_token"]
        async with page.stream("GET", "/web/events", headers={"Sec-Fetch-Site": "same-origin"}) as events:
            lines = events.aiter_lines()
            async for line in lines:
                if '"balance":100' in line:
                    break
            body = {"model": "demo-mini", "message": f"hello {number}"}
            answer = await api.post("/chat/message", json=body, headers={"Authorization": f"Bearer {token}"})
            charged = time.perf_counter()
            assert answer.json()["credits_charged"] == 1
            async for line in lines:
                if '"balance":' in line:
                    assert '"balance":100' in line or '"balance":99' in line
                    if '"balance":99' in line:
                        return time.perf_counter() - charged
    raise AssertionError("the connection ended")
