"""The replies that one model writes together: which join, which leave, and which ones a failure ends."""

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

    `alone` is True of a failure that only this reply saw, and that its own request may have caused; never of a probe.
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
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_room(self) -> bool:
        """True while another reply can join."""
        return len(self._rows) < self._slots

    def add(self, generation: Job) -> None:
        """Let a reply join; it is begun by the next step."""
        self._rows.append(_Row(generation))

    def drop_cancelled(self) -> Sequence[Job]:
        """Take out and return the cancelled replies."""
        gone = [row.job for row in self._rows if row.job.cancelled]
        if gone:
            self._rows = [row for row in self._rows if not row.job.cancelled]
        return gone

    def clear(self) -> None:
        """Take out all."""
        self._rows.clear()

    def step(self) -> Sequence[Ended]:
        """One token more for each, or a part of a newcomer's prompt. Pieces are delivered; endings are returned."""
        ended = [*self._begin()]
        try:
            self._model.step([row.writing for row in self._rows if row.writing])
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
        for row in [row for row in self._rows if row.writing is None]:
            job = row.job
            try:
                row.writing = self._model.begin(job.request, job.prompt, max_tokens=job.max_tokens)
            except Exception as error:  # noqa: BLE001 - this reply fails, the others go on
                ended += self._fail([row], error, alone=True)
        return ended

    def _deliver(self) -> Sequence[Ended]:
        ended: list[Ended] = []
        for row in list(self._rows):
            writing, job = row.writing, row.job
            if writing is None:
                continue
            self.tokens_written += writing.tokens - job.tokens_computed
            job.tokens_computed = writing.tokens
            if writing.error:
                ended += self._fail([row], writing.error, alone=writing.model_is_well)
                continue
            for piece in writing.take():
                job.deliver(piece)
            if writing.ended:
                job.cut_off = writing.cut_off
                self._rows.remove(row)
                ended.append(Ended(job, None, row.age_s))
        return ended

    def _blamed(self) -> Sequence[_Row]:
        """Return the replies that a failed step ends: the one whose prompt was being read; without one, all."""
        reading = [row for row in self._rows if row.writing and row.writing.reading]
        return reading[:1] or list(self._rows)

    def _fail(self, rows: Sequence[_Row], error: Exception, *, alone: bool = False) -> Sequence[Ended]:
        # The cause is for the log alone. It can name files and hold parts of prompts.
        _log.error("generation_failed", model=self._name, replies=len(rows), exc_info=error)
        self._rows = [row for row in self._rows if row not in rows]
        short = self._model.is_out_of_memory(error)
        return [
            Ended(
                row.job,
                OutOfMemory() if short else GenerationFailed(),
                row.age_s,
                alone=alone and not short and not row.job.is_probe,
            )
            for row in rows
        ]


class _Row:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.writing: Writing | None = None
        self._since = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since
