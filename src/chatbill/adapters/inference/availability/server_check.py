"""Check a model on a server: whether it is set up, whether it answers, and how fast it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from chatbill.adapters.inference.availability.speed import Speed, measured
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.application.ports.engine import Engine
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCheck:
    """Looks at a model on a server, through `engine`, which is made for this one model.

    `has_key` tells whether the variable is set that a source names for its key; `optional_key` is one that need not be.
    A server has `limit_s` seconds.
    """

    engine: Callable[[ModelSpec], Engine]
    has_key: Callable[[str], bool]
    optional_key: str = ""
    limit_s: float = 120.0

    def key_of(self, source: ServerSource) -> str:
        """Return whether its key is set, for people."""
        if not source.api_key_env:
            return "none"
        return f"{source.api_key_env} is {'set' if self.has_key(source.api_key_env) else 'not set'}"

    async def fault(self, source: ServerSource) -> Description | None:
        """Return what is wrong, as far as that shows without asking the server."""
        if source.api_key_env not in {"", self.optional_key} and not self.has_key(source.api_key_env):
            return _text(f"{source.api_key_env} is not set; the catalogue names it as `api_key_env`")
        try:
            await asyncio.to_thread(TokenCounter(source.tokenizer).load)
        except (OSError, ValueError) as error:
            return _text(str(error))
        return None

    async def run(self, spec: ModelSpec) -> Speed:
        """Have it write some words. Raises `ChatbillError` where it fails; the log has what the server said."""
        engine = self.engine(spec)
        try:
            async with asyncio.timeout(self.limit_s):
                await engine.start()
                return await measured(engine, spec)
        except TimeoutError:
            raise ChatbillError(f"its server did not write some words within {self.limit_s:g} s") from None
        finally:
            await engine.close()


def _text(text: str) -> Description:
    return Description.of("text", text=text)
