"""The root: where to go from here."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import get

import chatbill


@dataclass(frozen=True, slots=True, kw_only=True)
class RootView:
    """Who answers, and where the rest is."""

    name: str
    version: str
    documentation: str
    health: str


@get("/", include_in_schema=False, opt={"open": True})
async def read_root() -> RootView:
    """What answers here, and where to read on."""
    return RootView(name="chatbill", version=chatbill.__version__, documentation="/docs", health="/health")
