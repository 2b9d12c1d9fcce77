"""One model on a server."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from typing import Any

import structlog

from chatbill.adapters.inference.availability.health import Health, ProbeIntervals
from chatbill.adapters.inference.availability.model_availability import ModelAvailability, probe_request
from chatbill.adapters.inference.availability.turns import FairSlots
from chatbill.adapters.inference.catalogue.address import address_advice
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.openai.dialect import ChatRequest
from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.adapters.inference.openai.generation import RemoteGeneration
from chatbill.adapters.inference.openai.prompts import fitted, shortened
from chatbill.adapters.inference.openai.server import Server
from chatbill.adapters.inference.openai.supervisor import Supervisor
from chatbill.adapters.inference.openai.usage_counter import UsageCounter
from chatbill.adapters.inference.window import Window
from chatbill.application.ports.engine import THINKING, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable

_log = structlog.get_logger(__name__)

_NOT_ANSWERED = Description("model_server_not_answered")
_STOPPED = "engine_stopping"
_FIRST_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0
"""Pauses between probes of an unavailable model; the second one applies only if idle models are not probed."""
MAX_STOPS = 4
"""The most stop strings that OpenAI accepts; this process looks for the others itself."""


class RemoteModel:
    """Asks a server for replies of one model, at most `source.concurrency` at once.

    The model is ready once it wrote a token; without one for `probe_s` seconds (0: without limit) it is probed.
    `counter` counts tokens in place of the source's tokenizer. `start` may be called again after `pause`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        source: ServerSource,
        server: Server,
        *,
        max_queued: int,
        share_percent: int,
        probe_s: float,
        counter: TokenCounter | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.spec = spec
        self._server = server
        self._counter = counter or TokenCounter(source.tokenizer)
        self._supervisor = supervisor
        self._slots = FairSlots(source.concurrency)
        max_pause_s = probe_s or _MAX_PAUSE_S
        intervals = ProbeIntervals(
            idle_s=probe_s,
            answer_s=server.timeouts.probe_timeout_s,
            first_pause_s=min(_FIRST_PAUSE_S, max_pause_s),
            max_pause_s=max_pause_s,
        )
        self._health = Health(intervals, server.breaker)
        self._availability = ModelAvailability(
            spec.id, at_once=source.concurrency, max_queued=max_queued, health=self._health, share_percent=share_percent
        )
        self._running = 0
        self._changed = asyncio.Event()
        self._logged: ErrorKind | None = None
        self._watching: asyncio.Task[None] | None = None

    def status(self) -> ModelStatus:
        """Return its present state."""
        if self._supervisor and (server := self._supervisor.status()).state is not ModelState.READY:
            return self._availability.status(server.state, server.reason, lost=not server.healthy)
        if self._health.last_token_at is None:
            return self._availability.status(ModelState.LOADING, _NOT_ANSWERED, running=self._running)
        return self._availability.status(running=self._running)

    async def start(self) -> None:
        """Read the tokenizer, probe the model, and watch it from then on."""
        try:
            await asyncio.to_thread(self._counter.load)
        except ValueError as error:
            self._take_out(ServerError(ErrorKind.SET_UP, str(error)))
            return
        await self._probe()
        if self._health.fault and (advice := address_advice(str(self._server.url))):
            _log.warning("model_server_address", model=self.spec.id, advice=advice)
        if not self._availability.closed:
            self._watching = asyncio.create_task(self._watch(), name=f"watch {self.spec.id}")

    async def prepare(self, request: GenerationRequest) -> RemoteGeneration:
        """Take a place, and fit the prompt into the window by the best count there is."""
        if not self._supervisor and self.status().state is ModelState.LOADING:
            raise ModelUnavailable(request.model, _NOT_ANSWERED)
        window = Window.of(request, limit=self.spec.context_tokens, max_reply_tokens=self.spec.max_reply_tokens)
        room = window.prompt_tokens
        generation = RemoteGeneration(
            request,
            PromptSize(turns=request.turns, least=room, most=room, window=room, likely=room),
            window=window,
            read=self._read,
            give_back=self._availability.give_back,
        )
        # The place is taken before anything is awaited, so that a burst takes no more than there are.
        self._availability.take(generation, request.owner)
        try:
            if self._supervisor:
                await self._supervisor.wait_until_ready()
            generation.fitted(await fitted(request.turns, window=window, counter=self._counter))
        except BaseException:
            await generation.close()
            raise
        return generation

    @property
    def is_idle(self) -> bool:
        """True while no request has a place."""
        return not len(self._availability)

    async def pause(self) -> None:
        """Stop watching until the next `start`."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})

    async def close(self) -> None:
        """Stop watching, and end the replies that are being written."""
        self._availability.closed = True
        await self.pause()
        for generation in self._availability:
            if isinstance(generation, RemoteGeneration):
                await generation.end(GenerationFailed(_STOPPED))

    async def _read(self, generation: RemoteGeneration) -> None:
        """Ask the server for this reply once it is its owner's turn, and pass on what comes."""
        async with self._slots.slot(generation.request.owner):
            self._running += 1
            try:
                await self._copy_shortened(generation)
            except ServerError as error:
                self._note(error)
                if error.kind is ErrorKind.FILTERED:
                    generation.filtered = True
                    return
                raise error.error(self.spec.id, generation.window) from error
            finally:
                self._running -= 1

    async def _copy_shortened(self, generation: RemoteGeneration) -> None:
        """Copy the reply; where the server finds the prompt too long, ask again without its oldest turns.

        The estimate of tokens can be too low. Without this, such a conversation could never be continued.
        """
        while True:
            try:
                await self._copy(generation)
            except ServerError as error:
                # It is refused before anything was written, and what is left is at most half as long each time.
                if error.kind is not ErrorKind.TOO_LONG or not generation.window.trim:
                    raise
                if (shorter := await shortened(generation.prompt, self._counter)) is None:
                    raise
                self._log("prompt_shortened", error)
                generation.fitted(shorter)
                generation.counted(shorter.likely, None)
            else:
                return

    async def _copy(self, generation: RemoteGeneration) -> None:
        usage = UsageCounter(self._counter, stop=generation.request.stop, max_tokens=generation.max_tokens)
        prompt_tokens = completion_tokens = None
        thinking = False
        request = self._request(generation.prompt.turns, generation.request, generation.max_tokens)
        async with aclosing(self._server.chunks(request)) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.thought:
                    self._record_success()
                if chunk.thought and not thinking:
                    thinking = True
                    await generation.pass_on(THINKING)
                if chunk.text and (written := usage.push(chunk.text, chunk.completion_tokens)):
                    await generation.pass_on(written)
                if usage.ended:
                    generation.cut_off = True
                    break
                if chunk.finished:
                    generation.cut_off, generation.filtered = chunk.cut_off, chunk.filtered
                prompt_tokens = chunk.prompt_tokens or prompt_tokens
                completion_tokens = chunk.completion_tokens or completion_tokens
        if not (thinking or usage.has_text or generation.filtered):
            self._request_probe()
        rest, whole = usage.finish(None if usage.ended else completion_tokens)
        if usage.stopped:
            generation.cut_off = False
        generation.counted(prompt_tokens, whole)
        for written in rest:
            await generation.pass_on(written)

    def _request(self, turns: tuple[Turn, ...], request: GenerationRequest, max_tokens: int) -> ChatRequest:
        own = self.spec.sampling
        given = {"temperature": request.temperature, "top_p": request.top_p, "seed": request.seed}
        stops = list(request.stop[:MAX_STOPS]) or None
        options = {"temperature": own.temperature, "top_p": own.top_p, **_set(given), "stop": stops}
        return ChatRequest(
            body={
                "model": self.spec.served_name,
                "messages": [{"role": turn.role.value, "content": turn.text} for turn in turns],
                **_set(options),
            },
            max_tokens=max_tokens,
            # Stop strings are found here as well; what remains of the options are defaults.
            optional=frozenset(options) - _set(given).keys(),
            owner=request.owner,
        )

    def _record_success(self) -> None:
        if self._health.fault:
            _log.info("model_ready", model=self.spec.id, server=self._server.url.host)
        self._health.record_success()
        self._logged = None

    def _note(self, error: ServerError) -> None:
        """Record what the failure of a user's request says about the model."""
        self._log("model_server_problem", error)
        if error.counts:
            self._health.record_failure()
        if error.kind is ErrorKind.SET_UP:
            self._health.take_out(error.fault)
            self._changed.set()
        if error.needs_probe:
            self._request_probe()

    def _request_probe(self) -> None:
        self._health.request_probe()
        self._changed.set()

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            due_s = self._health.probe_in_s
            with suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(due_s) else due_s):
                    await self._changed.wait()
            if not self._health.probe_in_s:
                await self._probe()

    async def _probe(self) -> None:
        """Ask for one token. The model is ready if it writes one, and unavailable if it does not."""
        # A ready model that writes no more must be noticed soon. The server may be loading an unavailable one.
        answer_s = self._server.timeouts.probe_timeout_s if self.status().state is ModelState.READY else None
        try:
            async with asyncio.timeout(answer_s):
                await self._ask_for_a_token()
        except TimeoutError:
            self._take_out(ServerError(ErrorKind.BROKEN, "silent for too long"))
        except ServerError as error:
            self._take_out(error)
        except Exception as error:  # noqa: BLE001 - no error may end the watch
            _log.exception("probe_failed", model=self.spec.id)
            self._take_out(ServerError(ErrorKind.BROKEN, type(error).__name__))
        else:
            self._record_success()

    async def _ask_for_a_token(self) -> None:
        """Wait for the first token. Raises if the reply ends without one, even where the server reports no error."""
        probe = probe_request(self.spec.id)
        async with aclosing(self._server.chunks(self._request(probe.turns, probe, probe.max_tokens))) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.thought or chunk.completion_tokens:
                    return
        raise ServerError(ErrorKind.BROKEN, "ended a reply without a token")

    def _take_out(self, error: ServerError) -> None:
        if self._logged is not error.kind:
            # The failures of users' requests were logged without the server's words.
            self._logged = error.kind
            self._log("model_unavailable", error, error.details)
        self._health.take_out(error.fault)

    def _log(self, event: str, error: ServerError, cause: str = "") -> None:
        kind, server = error.kind.name.lower(), self._server.url.host
        _log.warning(event, model=self.spec.id, server=server, kind=kind, cause=cause or str(error))


def _set(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
