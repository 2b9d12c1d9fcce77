"""The table of routes and roles on the page about security, compared with the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.kit.http import Api

STAFF = ("/admin/", "/monitoring/", "/performance/")
PAGE = Path(__file__).parents[4] / "docs" / "security.md"


def documented() -> Iterator[tuple[str, str, str]]:
    """Yield the method, the path and the callers of each route of the table."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| `[A-Z]+ /", line):
            _, routes, callers, _ = line.split("|")
            for method, path in re.findall(r"`(\w+) (/\S*)`", routes):
                yield method.lower(), path, callers.strip()


async def test_the_page_about_security_names_every_route_once_with_its_callers(service: Api) -> None:
    described = (await service.client().get("/docs/openapi.json")).json()["paths"]
    callers = {(method, path): who for method, path, who in documented()}
    assert len(callers) == len(list(documented()))
    routes = {(method, path) for path, operations in described.items() for method in operations}
    assert routes <= set(callers), f"not in the table: {sorted(routes - set(callers))}"
    for path, operations in described.items():
        for method, operation in operations.items():
            who = callers[(method, path)]
            assert (who == "any client") == ("security" not in operation), path
            assert who.startswith("an administrator") == path.startswith(STAFF), path
