"""One model on a server: its places, its window, and whether it has lately written a token."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from typing import Any

import structlog

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.openai.errors import Kind, ServerError
from chatbill.adapters.inference.openai.generation import RemoteGeneration
from chatbill.adapters.inference.openai.server import Server
from chatbill.adapters.inference.openai.usage_counter import UsageCounter
from chatbill.adapters.inference.window import fit_window
from chatbill.application.ports.engine import THINKING, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, Overloaded, TooLarge

_log = structlog.get_logger(__name__)

_STOPPING = "the service is stopping"
_STOPPED = "engine_stopping"
_FIRST_RECHECK_S = 1.0
_LAST_RECHECK_S = 30.0
"""How often a model that does not work is asked again in the end, where idle ones are never asked."""
_PROBE = (Turn(Role.USER, "Hi"),)
MAX_STOPS = 4
"""As many as OpenAI takes; the others are looked for here all the same."""


class RemoteModel:
    """Asks for replies of one model, at most the source's `concurrency` at once while `max_queued` others wait.

    It is ready while it works: each token proves it, and where none came for `probe_s` seconds (0: however long), one
    is asked for. What was found not to work is asked again after a second, then after twice as long each time up to
    `probe_s`. It is not healthy while it is offered and not known to write, because nobody asked it for too long.
    """

    def __init__(
        self, spec: ModelSpec, source: ServerSource, server: Server, *, max_queued: int, probe_s: float
    ) -> None:
        self.spec = spec
        self._server = server
        self._counter = TokenCounter(source.tokenizer)
        self._slots = asyncio.Semaphore(source.concurrency)
        self._max_places = source.concurrency + max_queued
        self._places: set[RemoteGeneration] = set()
        self._running = 0
        self._probe_s = probe_s
        self._worked_at: float | None = None
        self._doubted = asyncio.Event()
        self._trouble: ServerError | None = None
        self._explained = ""
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    def status(self) -> ModelStatus:
        """As it stands now."""
        if self._closed:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=_STOPPING)
        queued = max(0, len(self._places) - self._running)
        state, reason = ModelState.READY, ""
        if trouble := self._out_with():
            state, reason = ModelState.UNAVAILABLE, trouble.reason
        elif self._worked_at is None:
            state, reason = ModelState.LOADING, "its server has not answered yet"
        healthy = state is not ModelState.READY or self._is_vouched_for()
        return ModelStatus(state=state, reason=reason, running=self._running, queued=queued, healthy=healthy)

    async def start(self) -> None:
        """Read the tokenizer, ask for a first token, and keep watching from then on."""
        try:
            await asyncio.to_thread(self._counter.load)
        except ValueError as error:
            self._trouble = ServerError(Kind.SET_UP, str(error))
            _log.error("model_unavailable", model=self.spec.id, cause=str(error))
            return
        await self._probe()
        if not self._closed:
            self._watching = asyncio.create_task(self._watch(), name=f"watch {self.spec.id}")

    async def prepare(self, request: GenerationRequest) -> RemoteGeneration:
        """Take a place; the prompt is fitted into the window by the best count there is."""
        status = self.status()
        if not self._closed and (trouble := self._out_with()):
            raise trouble.unavailable(request.model)
        if status.state is not ModelState.READY:
            raise ModelUnavailable(request.model, status.reason)
        if len(self._places) >= self._max_places:
            raise Overloaded
        max_tokens = min(request.max_tokens, self.spec.max_reply_tokens)
        room = self.spec.context_tokens - max_tokens
        # The place is taken before anything is awaited, or a burst would take more than there are.
        generation = RemoteGeneration(
            request,
            PromptSize(turns=request.turns, least=room, most=room, window=room, likely=room),
            max_tokens=max_tokens,
            most_prompt_tokens=room,
            read=self._read,
            give_back=self._places.discard,
        )
        self._places.add(generation)
        try:
            generation.fitted(await self._fitted(request.turns, room))
        except BaseException:
            await generation.close()
            raise
        return generation

    async def close(self) -> None:
        """Stop watching, and end what is being written."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for generation in tuple(self._places):
            await generation.end(GenerationFailed(_STOPPED))

    async def _fitted(self, turns: tuple[Turn, ...], room: int) -> PromptSize:
        if self._counter.is_exact:
            # A long conversation takes a tokenizer a while.
            return await asyncio.to_thread(fit_window, turns, encode=self._counter.prompt, budget=room)
        try:
            return fit_window(turns, encode=self._counter.prompt, budget=room)
        except TooLarge:
            # A guess refuses nobody: the server counts, and says so where the last message is too long for it.
            alone = self._last_alone(turns)
            if alone.least > room:
                raise TooLarge.of("message", "prompt_far_too_long", max=room) from None
            return alone

    def _last_alone(self, turns: tuple[Turn, ...]) -> PromptSize:
        """The last message, after what the system says."""
        system = tuple(turn for turn in turns[:1] if turn.role is Role.SYSTEM)
        return self._counter.prompt((*system, turns[-1]))

    async def _read(self, generation: RemoteGeneration) -> None:
        """Ask the server for this reply once it is its turn, and pass on what comes."""
        async with self._slots:
            self._running += 1
            try:
                await self._copy_what_fits(generation)
            except ServerError as trouble:
                self._note(trouble)
                raise trouble.error(self.spec.id) from trouble
            finally:
                self._running -= 1

    async def _copy_what_fits(self, generation: RemoteGeneration) -> None:
        """Without its oldest turns where the server finds the prompt too long: text can be denser than was estimated.

        Otherwise a conversation would be stuck for good once it is too long, whatever the person says next.
        """
        while True:
            try:
                await self._copy(generation)
            except ServerError as trouble:
                # It is refused before anything was written, and what is left is at most half as long each time.
                if trouble.kind is not Kind.TOO_LONG or (shorter := await self._shorter(generation.prompt)) is None:
                    raise
                self._log("prompt_shortened", trouble)
                generation.fitted(shorter)
                generation.counted(shorter.likely, None)
            else:
                return

    async def _shorter(self, prompt: PromptSize) -> PromptSize | None:
        """The end of the conversation that takes half the room, or else the last message; None where that is all."""
        alone = self._last_alone(prompt.turns)
        if len(alone.turns) == len(prompt.turns):
            return None
        return await self._fitted(prompt.turns, max(prompt.window // 2, alone.window))

    async def _copy(self, generation: RemoteGeneration) -> None:
        request = generation.request
        meter = UsageCounter(self._counter, stop=request.stop, max_tokens=generation.max_tokens)
        prompt_tokens = completion_tokens = None
        thinking = False
        body = self._body(generation.prompt.turns, request)
        async with aclosing(self._server.chunks(body, max_tokens=generation.max_tokens)) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.thought:
                    self._worked()
                if chunk.thought and not thinking:
                    thinking = True
                    await generation.pass_on(THINKING)
                if chunk.text and (piece := meter.push(chunk.text)):
                    await generation.pass_on(piece)
                if meter.ended:
                    generation.cut_off = True
                    break
                if chunk.finished:
                    generation.cut_off = chunk.cut_off
                prompt_tokens = chunk.prompt_tokens or prompt_tokens
                completion_tokens = chunk.completion_tokens or completion_tokens
        if not (thinking or meter.has_text):
            self._doubted.set()
        pieces, whole = meter.finish(None if meter.ended else completion_tokens)
        if meter.stopped:
            generation.cut_off = False
        generation.counted(prompt_tokens, whole)
        for piece in pieces:
            await generation.pass_on(piece)

    def _body(self, turns: tuple[Turn, ...], request: GenerationRequest) -> dict[str, Any]:
        own = self.spec.sampling
        wishes = {
            "temperature": own.temperature if request.temperature is None else request.temperature,
            "top_p": own.top_p if request.top_p is None else request.top_p,
            "seed": request.seed,
            "stop": list(request.stop[:MAX_STOPS]) or None,
        }
        messages = [{"role": turn.role.value, "content": turn.text} for turn in turns]
        return {
            "model": self.spec.served_name,
            "messages": messages,
            **{name: wish for name, wish in wishes.items() if wish is not None},
        }

    def _worked(self) -> None:
        self._worked_at = asyncio.get_running_loop().time()
        self._server.circuit.worked()
        if self._trouble:
            _log.info("model_ready", model=self.spec.id, server=self._server.url.host)
        self._trouble = None
        self._explained = ""
        self._doubted.clear()

    def _note(self, trouble: ServerError) -> None:
        """A person's request failed: remember it for what it says about server and model."""
        self._log("model_server_trouble", trouble)
        if trouble.kind is Kind.SET_UP:
            self._trouble = trouble
        if trouble.counts:
            self._server.circuit.failed()
        if trouble.is_doubtful:
            self._doubted.set()

    async def _watch(self) -> None:
        recheck_s = _FIRST_RECHECK_S
        while True:
            if self.status().state is ModelState.READY:
                recheck_s = _FIRST_RECHECK_S
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._doubted.wait(), self._probe_s or None)
            else:
                await asyncio.sleep(min(recheck_s, self._probe_s or _LAST_RECHECK_S))
                recheck_s *= 2
            if not self._lately_worked():
                await self._probe()

    def _out_with(self) -> ServerError | None:
        """Why the model is not offered."""
        return ServerError(Kind.BROKEN, "") if self._server.circuit.is_open and not self._trouble else self._trouble

    def _lately_worked(self) -> bool:
        if self._worked_at is None or self._doubted.is_set() or self._out_with():
            return False
        return not self._probe_s or self._silent_for_s() < self._probe_s

    def _is_vouched_for(self) -> bool:
        """Whether a token came not long ago: by now another one was asked for, or may still come."""
        if not self._probe_s:
            return True
        return self._silent_for_s() <= self._probe_s + self._server.timeouts.trial_s

    def _silent_for_s(self) -> float:
        """Seconds since the last token."""
        if self._worked_at is None:
            return math.inf
        return asyncio.get_running_loop().time() - self._worked_at

    async def _probe(self) -> None:
        """Ask for one token; with it the model is ready, without it it is not."""
        # Who is offered a model that has fallen silent waits for nothing, so that is found out soon.
        patience_s = self._server.timeouts.trial_s if self.status().state is ModelState.READY else None
        try:
            async with asyncio.timeout(patience_s):
                await self._ask_for_a_token()
        except TimeoutError:
            self._is_out(ServerError(Kind.BROKEN, "silent for too long"))
        except ServerError as trouble:
            self._is_out(trouble)
        except Exception:  # noqa: BLE001
            # Nothing that a server does may end the watch.
            _log.exception("model_unavailable", model=self.spec.id)
            self._trouble = ServerError(Kind.BROKEN, "")
        else:
            self._worked()

    async def _ask_for_a_token(self) -> None:
        """Return with the first one. A server can end a reply in good order of which no model wrote a word."""
        body = self._body(_PROBE, GenerationRequest(model=self.spec.id, turns=_PROBE, max_tokens=1))
        async with aclosing(self._server.chunks(body, max_tokens=1)) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.thought or chunk.completion_tokens:
                    return
        raise ServerError(Kind.BROKEN, "ended a reply without a token")

    def _is_out(self, trouble: ServerError) -> None:
        if self._explained != trouble.reason:
            # What a person's request met was logged without the server's words.
            self._explained = trouble.reason
            self._log("model_unavailable", trouble, trouble.words)
        self._trouble = trouble

    def _log(self, event: str, trouble: ServerError, cause: str = "") -> None:
        kind, server = trouble.kind.name.lower(), self._server.url.host
        _log.warning(event, model=self.spec.id, server=server, kind=kind, cause=cause or str(trouble))
