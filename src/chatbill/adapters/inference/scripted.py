"""The deterministic test engine: it answers with words of the prompt and follows directives in the last message.

Directives, anywhere in the last message:

    [[sleep:SECONDS]]   wait before the first token
    [[pause:SECONDS]]   wait between tokens
    [[tokens:N]]        write exactly N tokens, or `max_tokens` if that is less
    [[fail:before]]     break before the first token
    [[fail:after:N]]    break after N tokens
    [[oom]]             run out of memory before the first token

A token is a word. The reply depends on the request alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from chatbill.adapters.inference.availability.model_availability import STOPPING, UNKNOWN
from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.window import fit_window
from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, OutOfMemory, Overloaded
from chatbill.domain.shared.ids import ModelId

_DIRECTIVE = re.compile(
    r"\[\[(?:(?P<wait>sleep|pause):(?P<seconds>\d+(?:\.\d+)?)"
    r"|tokens:(?P<tokens>\d+)|fail:(?P<fail>before|after:\d+)|(?P<oom>oom))\]\]"
)
_CLOSED = "engine_stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The directives of one message. Times in seconds; `fail_after` and `tokens` in tokens."""

    words: tuple[str, ...]
    sleep_s: float = 0.0
    pause_s: float = 0.0
    tokens: int | None = None
    fail_after: int | None = None
    out_of_memory: bool = False

    @classmethod
    def of(cls, message: str) -> Script:
        """Parse the directives of a message; the rest of it gives the words of the reply."""
        waits = {"sleep": 0.0, "pause": 0.0}
        tokens: int | None = None
        fail_after: int | None = None
        out_of_memory = False
        for match in _DIRECTIVE.finditer(message):
            if match["wait"]:
                waits[match["wait"]] = float(match["seconds"])
            elif match["tokens"]:
                tokens = int(match["tokens"])
            elif match["fail"]:
                fail_after = int(match["fail"].removeprefix("after:").replace("before", "0"))
            else:
                out_of_memory = True
        return cls(
            words=tuple(_DIRECTIVE.sub(" ", message).split()) or ("ok",),
            sleep_s=waits["sleep"],
            pause_s=waits["pause"],
            tokens=tokens,
            fail_after=fail_after,
            out_of_memory=out_of_memory,
        )

    def reply(self, max_tokens: int) -> Sequence[str]:
        """Return the tokens of the reply: the words of the message, repeated until there are enough."""
        wanted = len(self.words) if self.tokens is None else self.tokens
        count = min(max(wanted, self.fail_after or 0), max_tokens)
        return [word if index == 0 else f" {word}" for index, word in enumerate(islice(cycle(self.words), count))]


class ScriptedEngine:
    """An engine without a model, for tests.

    `max_places` requests (at least 1) can hold a place at once, over all models; one more is `Overloaded`. All of
    them are written at the same time.
    """

    name = "scripted"

    def __init__(self, catalogue: Catalogue, *, max_places: int = 1_000) -> None:
        self._catalogue = catalogue
        self._max_places = max_places
        self._open: set[_ScriptedGeneration] = set()
        self._closed = False

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return that every model is ready, until the engine is closed."""
        running = dict.fromkeys(self._catalogue, 0)
        for generation in self._open:
            running[generation.model] += 1
        if self._closed:
            return {model: ModelStatus(state=ModelState.UNAVAILABLE, reason=STOPPING) for model in self._catalogue}
        return {model: ModelStatus(state=ModelState.READY, running=count) for model, count in running.items()}

    async def start(self) -> None:
        """Open the engine again; there is nothing to load."""
        self._closed = False

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take one of the places; the window is the model's own, counted in words."""
        if self._closed:
            raise ModelUnavailable(request.model, STOPPING)
        model = self._catalogue.get(request.model)
        if model is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        if len(self._open) >= self._max_places:
            raise Overloaded
        room = min(request.max_tokens, model.max_reply_tokens)
        prompt = fit_window(request.turns, encode=_words, budget=model.context_tokens - room)
        generation = _ScriptedGeneration(request, prompt_tokens=len(prompt), max_tokens=room, places=self._open)
        self._open.add(generation)
        return generation

    async def close(self) -> None:
        """End all generations; their streams raise `GenerationFailed`."""
        self._closed = True
        for generation in tuple(self._open):
            generation.end(GenerationFailed(_CLOSED))


class _ScriptedGeneration:
    """One place of the scripted engine."""

    completion_tokens: int | None = None
    cut_off: bool | None = None
    cached = False

    def __init__(
        self,
        request: GenerationRequest,
        *,
        prompt_tokens: int,
        max_tokens: int,
        places: set[_ScriptedGeneration],
    ) -> None:
        self.model = request.model
        self._script = Script.of(request.turns[-1].text)
        self._max_tokens = max_tokens
        self._chunks = ChunkBuilder(request.stop)
        self._prompt_tokens = prompt_tokens
        self._places = places
        self._ended = asyncio.Event()
        self._error: GenerationFailed | None = None

    @property
    def prompt_tokens(self) -> int:
        """Return the number of words of the conversation that fitted."""
        return self._prompt_tokens

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield one chunk a word."""
        try:
            await self._wait(self._script.sleep_s)
            if self._script.out_of_memory and not self._ended.is_set():
                raise OutOfMemory
            tokens = self._script.reply(self._max_tokens)
            for written, token in enumerate(tokens):
                if written:
                    await self._wait(self._script.pause_s)
                self._check(written)
                if self._ended.is_set():
                    return
                if chunk := self._chunks.push(token):
                    yield chunk
                if self._chunks.stopped:
                    self.cut_off = False
                    return
            self._check(len(tokens))
            if self._ended.is_set():
                return
            if chunk := self._chunks.finish():
                yield chunk
        finally:
            self._places.discard(self)

    async def close(self) -> None:
        """End the stream at its next token."""
        self.end(None)

    def end(self, error: GenerationFailed | None) -> None:
        """Wake the stream, which then ends, with the error if there is one."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
        self._places.discard(self)

    def _check(self, written: int) -> None:
        if self._error is not None:
            raise self._error
        if self._script.fail_after == written and not self._ended.is_set():
            raise GenerationFailed

    async def _wait(self, seconds: float) -> None:
        """Wait, but no longer than until the end; always let other tasks run."""
        if not seconds:
            await asyncio.sleep(0)
            return
        try:
            await asyncio.wait_for(self._ended.wait(), timeout=seconds)
        except TimeoutError:
            return


def _words(turns: Sequence[Turn]) -> Sequence[str]:
    return [word for turn in turns for word in turn.text.split()]
