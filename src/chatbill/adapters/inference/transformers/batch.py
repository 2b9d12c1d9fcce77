"""The replies that one model writes together: who joins, who leaves, and whom a failure concerns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from chatbill.adapters.inference.transformers.generation import Job
from chatbill.adapters.inference.transformers.runtime import LocalModel, Writing
from chatbill.domain.shared.errors import GenerationFailed, OutOfMemory

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A reply that left the batch: whole, or with the failure that its reader is to be told. Time in seconds.

    `alone` is True of a failure that only this reply saw, and that its own request may have caused; never of a trial.
    """

    generation: Job
    failure: GenerationFailed | None
    took_s: float
    alone: bool = False


class Batch:
    """Up to `slots` replies in the making. Only the thread of the model may touch it, as the model itself."""

    def __init__(self, model: LocalModel, *, slots: int, name: str) -> None:
        self.tokens_written = 0
        self._model = model
        self._slots = slots
        self._name = name
        self._seats: list[_Seat] = []

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def has_room(self) -> bool:
        """True while another reply can join."""
        return len(self._seats) < self._slots

    def add(self, generation: Job) -> None:
        """Let a reply join; it is begun by the next step."""
        self._seats.append(_Seat(generation))

    def drop_cancelled(self) -> Sequence[Job]:
        """Take out those whom nobody waits for any more."""
        gone = [seat.generation for seat in self._seats if seat.generation.cancelled]
        if gone:
            self._seats = [seat for seat in self._seats if not seat.generation.cancelled]
        return gone

    def clear(self) -> None:
        """Take out all."""
        self._seats.clear()

    def step(self) -> Sequence[Ended]:
        """One token more for each, or a part of a newcomer's prompt. Pieces are delivered; endings are returned."""
        ended = [*self._begin()]
        try:
            self._model.step([seat.writing for seat in self._seats if seat.writing])
        except Exception as error:  # noqa: BLE001 - replies fail, the model stays
            ended += self._fail(self._blamed(), error)
        else:
            ended += self._deliver()
        if any(one.failure for one in ended):
            # Not earlier: the traceback, gone by now, kept the replies' tensors alive.
            self._model.free_memory()
        return ended

    def _begin(self) -> Sequence[Ended]:
        ended: list[Ended] = []
        for seat in [seat for seat in self._seats if seat.writing is None]:
            job = seat.generation
            try:
                seat.writing = self._model.begin(job.request, job.prompt, max_tokens=job.max_tokens)
            except Exception as error:  # noqa: BLE001 - this reply fails, the others go on
                ended += self._fail([seat], error, alone=True)
        return ended

    def _deliver(self) -> Sequence[Ended]:
        ended: list[Ended] = []
        for seat in list(self._seats):
            writing, job = seat.writing, seat.generation
            if writing is None:
                continue
            self.tokens_written += writing.tokens - job.tokens_computed
            job.tokens_computed = writing.tokens
            if writing.error:
                ended += self._fail([seat], writing.error, alone=writing.model_is_well)
                continue
            for piece in writing.take():
                job.deliver(piece)
            if writing.ended:
                job.cut_off = writing.cut_off
                self._seats.remove(seat)
                ended.append(Ended(job, None, seat.age_s))
        return ended

    def _blamed(self) -> Sequence[_Seat]:
        """Who leaves when a step failed: the newcomer whose prompt it read beside the others; without one, all."""
        reading = [seat for seat in self._seats if seat.writing and seat.writing.reading]
        return reading[:1] or list(self._seats)

    def _fail(self, seats: Sequence[_Seat], error: Exception, *, alone: bool = False) -> Sequence[Ended]:
        # The cause is for the log alone. It can name files and hold parts of prompts.
        _log.error("generation_failed", model=self._name, replies=len(seats), exc_info=error)
        self._seats = [seat for seat in self._seats if seat not in seats]
        short = self._model.is_out_of_memory(error)
        return [
            Ended(
                seat.generation,
                OutOfMemory() if short else GenerationFailed(),
                seat.age_s,
                alone=alone and not short and not seat.generation.is_trial,
            )
            for seat in seats
        ]


class _Seat:
    def __init__(self, generation: Job) -> None:
        self.generation = generation
        self.writing: Writing | None = None
        self._since = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since
