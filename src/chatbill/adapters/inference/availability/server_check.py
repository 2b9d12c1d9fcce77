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
    """Checks a model on a server, with an engine that `engine` makes for this model alone.

    `has_key` returns whether an environment variable is set; the variable `optional_key` may be missing. The server
    must answer within `limit_s` seconds.
    """

    engine: Callable[[ModelSpec], Engine]
    has_key: Callable[[str], bool]
    optional_key: str = ""
    limit_s: float = 120.0

    def key_of(self, source: ServerSource) -> str:
        """Return whether the key of the source is set, as text for people."""
        if not source.api_key_env:
            return "none"
        return f"{source.api_key_env} is {'set' if self.has_key(source.api_key_env) else 'not set'}"

    async def fault(self, source: ServerSource) -> Description | None:
        """Return what is wrong with the settings of the source; sends no request."""
        if source.api_key_env not in {"", self.optional_key} and not self.has_key(source.api_key_env):
            return _description(f"{source.api_key_env} is not set; the catalogue names it as `api_key_env`")
        try:
            await asyncio.to_thread(TokenCounter(source.tokenizer).load)
        except (OSError, ValueError) as error:
            return _description(str(error))
        return None

    async def run(self, spec: ModelSpec) -> Speed:
        """Measure the speed of a short reply. Raises `ChatbillError` if it fails; the log has the server's message."""
        engine = self.engine(spec)
        try:
            async with asyncio.timeout(self.limit_s):
                await engine.start()
                return await measured(engine, spec)
        except TimeoutError:
            raise ChatbillError(f"its server did not complete a short reply within {self.limit_s:g} s") from None
        finally:
            await engine.close()


def _description(text: str) -> Description:
    return Description.of("text", text=text)
