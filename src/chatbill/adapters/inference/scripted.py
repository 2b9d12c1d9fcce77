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

from chatbill.adapters.inference.availability.model_availability import UNKNOWN, ModelAvailability
from chatbill.adapters.inference.availability.turns import FairSlots
from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.window import Window, fit_window
from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest, ModelStatus
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.errors import ContextLengthExceeded, GenerationFailed, ModelUnavailable, OutOfMemory
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

    Each model writes up to `slots` replies at the same time and lets at most `max_queued` others wait; one more is
    `Overloaded`. One owner may take `share_percent` of that queue.
    """

    name = "scripted"

    def __init__(
        self, catalogue: Catalogue, *, slots: int = 1_000, max_queued: int = 0, share_percent: int = 100
    ) -> None:
        self._catalogue = catalogue
        self._models = {
            model: _ScriptedModel(
                slots=FairSlots(slots),
                availability=ModelAvailability(
                    model, at_once=slots, max_queued=max_queued, share_percent=share_percent
                ),
            )
            for model in catalogue
        }

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return that every model is ready, until the engine is closed."""
        return {
            model: scripted.availability.status(running=min(len(scripted.availability), scripted.availability.at_once))
            for model, scripted in self._models.items()
        }

    async def start(self) -> None:
        """Open the engine again; there is nothing to load."""
        for scripted in self._models.values():
            scripted.availability.closed = False

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take one of the places; the window is the model's own, counted in words."""
        model = self._catalogue.get(request.model)
        if model is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        scripted = self._models[request.model]
        window = Window.of(request, limit=model.context_tokens, max_reply_tokens=model.max_reply_tokens)
        generation = _ScriptedGeneration(request, model=scripted)
        scripted.availability.take(generation, request.owner)
        try:
            generation.fit(window)
        except ContextLengthExceeded:
            generation.end(None)
            raise
        return generation

    async def close(self) -> None:
        """End all generations; their streams raise `GenerationFailed`."""
        for scripted in self._models.values():
            scripted.availability.closed = True
            for generation in scripted.availability:
                if isinstance(generation, _ScriptedGeneration):
                    generation.end(GenerationFailed(_CLOSED))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ScriptedModel:
    """The places of one model, and those of them that are written at the same time."""

    availability: ModelAvailability
    slots: FairSlots


class _ScriptedGeneration:
    """One place of a model."""

    completion_tokens: int | None = None
    cut_off: bool | None = None
    filtered = False
    cached = False

    def __init__(self, request: GenerationRequest, *, model: _ScriptedModel) -> None:
        self.prompt_tokens = self.dropped_turns = self._max_tokens = 0
        self._request = request
        self._script = Script.of(request.turns[-1].text)
        self._chunks = ChunkBuilder(request.stop)
        self._model = model
        self._turn: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._error: GenerationFailed | None = None

    def fit(self, window: Window) -> None:
        """Count the words of the conversation that fit. Raises `ContextLengthExceeded`."""
        fitted = fit_window(self._request.turns, encode=_words, window=window)
        self.prompt_tokens, self.dropped_turns = len(fitted.prompt), fitted.dropped_turns
        self._max_tokens = window.reply_tokens(self.prompt_tokens)

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield one chunk a word, once it is the owner's turn."""
        try:
            if not self._ended.is_set():
                self._turn = self._model.slots.request(self._request.owner)
                await asyncio.wait({self._turn})  # `end` cancels it
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
            self.cut_off = len(tokens) == self._max_tokens
            if chunk := self._chunks.finish():
                yield chunk
        finally:
            self._give_back()

    async def close(self) -> None:
        """End the stream at its next token."""
        self.end(None)

    def end(self, error: GenerationFailed | None) -> None:
        """Wake the stream, which then ends, with the error if there is one."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
        self._give_back()

    def _give_back(self) -> None:
        turn, self._turn = self._turn, None
        if turn:
            self._model.slots.give_back(self._request.owner, turn)
        self._model.availability.give_back(self)

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
