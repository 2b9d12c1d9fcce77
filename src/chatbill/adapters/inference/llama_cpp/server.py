"""Ask llama.cpp in a child process: with a slot of the owner's, and exact counts of tokens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.adapters.inference.llama_cpp.markers import Markers
from chatbill.adapters.inference.llama_cpp.slots import OwnedSlots
from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.openai.dialect import ChatRequest, without_system
from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.adapters.inference.openai.server import Server, Timeouts
from chatbill.adapters.inference.openai.wire import ServerChunk
from chatbill.application.ports.engine import GREEDY_BELOW
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed

_ADDRESS = "http://llama.cpp"
"""The host of the requests; the socket decides where they go."""
_COUNT_WAIT_S = 10.0
_SEEDS = 2**32 - 1
"""llama.cpp's seeds have 32 bits, and the largest one means a random seed."""


class LlamaServer(Server):
    """The server in the child process. Messages go to it with their control markers divided.

    `slots` and `markers` are those of the process that runs now. `has_ended` waits a moment after an error, and returns
    True if it was the end of the process. `last_event_at` is when the process last sent something, of
    `time.monotonic`; `busy` counts the requests that it has.
    """

    def __init__(
        self,
        socket: Path,
        key: str,
        *,
        sampling: Sampling,
        timeouts: Timeouts,
        max_connections: int,
        ready: Callable[[], Awaitable[None]],
        has_ended: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(f"{_ADDRESS}/v1", key, timeouts=timeouts, max_connections=max_connections, socket=socket)
        self.slots = OwnedSlots(1)
        self.markers = Markers(())
        self.busy = 0
        self.last_event_at = time.monotonic()
        self.loop: asyncio.AbstractEventLoop
        self._ready = ready
        self._has_ended = has_ended
        options = {"top_k": sampling.top_k, "repeat_penalty": sampling.repetition_penalty}
        self._options = {name: value for name, value in options.items() if value is not None}

    async def chunks(self, request: ChatRequest) -> AsyncGenerator[ServerChunk]:
        """Yield the reply to this request, as soon as the process runs and has a slot for it."""
        await self._ready()
        async with self.slots.taken(request.owner, request.body["messages"]) as place:
            options = {
                "id_slot": place.number,
                "cache_prompt": place.reuse,
                "timings_per_token": True,
                "return_progress": True,
            }
            body = {**self._options, **self._body(request.body), **options}
            self._begin()
            try:
                async with aclosing(super().chunks(replace(request, body=body))) as chunks:
                    async for chunk in chunks:
                        self.last_event_at = time.monotonic()
                        yield chunk
            except ServerError as error:
                if error.counts and await self._has_ended():
                    raise ServerError(ErrorKind.CRASHED, f"the process ended: {error}") from error
                raise
            finally:
                self.busy -= 1

    async def prompt_tokens(self, turns: Sequence[Turn]) -> int:
        """Return the tokens that llama.cpp makes of these turns, from the next process if this one ends meanwhile.

        Raises `GenerationFailed` if it does not answer, and `ModelUnavailable` if there is no next process.
        """
        try:
            return await self._counted(turns)
        except GenerationFailed:
            if not await self._has_ended():
                raise
        await self._ready()
        return await self._counted(turns)

    async def _counted(self, turns: Sequence[Turn]) -> int:
        messages = [{"role": turn.role.value, "content": self.markers.divided(turn.text)} for turn in turns]
        try:
            prompt = (await self._post("/apply-template", {"messages": messages}))["prompt"]
        except GenerationFailed:
            if turns[0].role is not Role.SYSTEM:
                raise
            # The template may have no system role; then the request is sent in this way, too.
            prompt = (await self._post("/apply-template", {"messages": without_system(messages)}))["prompt"]
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len((await self._post("/tokenize", body))["tokens"])

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            async with asyncio.timeout(_COUNT_WAIT_S), self._opened().post(_ADDRESS + path, json=body) as response:
                response.raise_for_status()
                return json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise GenerationFailed from error

    def _begin(self) -> None:
        if not self.busy:
            self.last_event_at = time.monotonic()
        self.busy += 1

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request in llama.cpp's ranges."""
        divided = [{**message, "content": self.markers.divided(message["content"])} for message in body["messages"]]
        changed: dict[str, Any] = {"messages": divided}
        if (seed := body.get("seed")) is not None:
            changed["seed"] = seed % _SEEDS
        if body.get("temperature") is not None and body["temperature"] < GREEDY_BELOW:
            changed["temperature"] = 0.0
        return {**body, **changed}


class LlamaCounter(TokenCounter):
    """Counts prompts exactly, by asking the process. `prompt` blocks, so it is called on other threads alone."""

    is_exact = True

    def __init__(self, server: LlamaServer) -> None:
        super().__init__(None)
        self._server = server

    def prompt(self, turns: Sequence[Turn]) -> PromptSize:
        """Return the exact size of the prompt."""
        counting = asyncio.run_coroutine_threadsafe(self._server.prompt_tokens(turns), self._server.loop)
        size = counting.result()
        return PromptSize(turns=tuple(turns), least=size, most=size, window=size, likely=size)

    def reply(self, text: str) -> int:  # noqa: ARG002 - the server counts as it writes
        """Return 1; llama.cpp says with each part how many tokens it has written."""
        return 1
