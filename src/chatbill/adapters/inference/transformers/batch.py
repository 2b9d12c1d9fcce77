"""The replies that one model writes together: which join, which leave, and which ones a failure ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from chatbill.adapters.inference.transformers.generation import Job
from chatbill.adapters.inference.transformers.runtime import Decoding, LocalModel
from chatbill.domain.shared.errors import GenerationFailed, OutOfMemory

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndedReply:
    """A reply that left the batch: complete, or with the failure for its reader. Time in seconds.

    `alone` is True for a failure of this reply only, which its own request may have caused; never for a probe.
    """

    generation: Job
    failure: GenerationFailed | None
    took_s: float
    alone: bool = False


class Batch:
    """Up to `slots` replies that are being written. Only the thread of the model may use it, like the model."""

    def __init__(self, model: LocalModel, *, slots: int, name: str) -> None:
        self.tokens_written = 0
        self._model = model
        self._slots = slots
        self._name = name
        self._rows: list[_BatchRow] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_room(self) -> bool:
        """True while another reply can join."""
        return len(self._rows) < self._slots

    def add(self, generation: Job) -> None:
        """Add a reply; the next step begins it."""
        self._rows.append(_BatchRow(generation))

    def drop_cancelled(self) -> Sequence[Job]:
        """Take out and return the cancelled replies."""
        gone = [row for row in self._rows if row.job.cancelled]
        for row in gone:
            self._take_out(row)
        return [row.job for row in gone]

    @property
    def can_read_ahead(self) -> bool:
        """True where a step without replies has something to read."""
        return self._model.can_read_ahead

    def step(self) -> Sequence[EndedReply]:
        """Write one token of each reply, or read a part of a prompt; deliver chunks and return ended replies.

        Without replies, read what the next turn of an ended one begins with.
        """
        if not self._rows:
            self._read_ahead()
            return ()
        ended = [*self._begin()]
        try:
            self._model.step([row.decoding for row in self._rows if row.decoding])
        except Exception as error:  # noqa: BLE001 - replies fail, the model stays
            ended += self._fail(self._blamed(), error)
        else:
            ended += self._deliver()
        if any(one.failure for one in ended):
            # Only now, because the traceback, which is gone by now, kept the replies' tensors alive.
            self._model.free_memory()
        return ended

    def _read_ahead(self) -> None:
        try:
            self._model.read_ahead()
        except Exception as error:  # noqa: BLE001 - the next turn reads more, and that is all
            _log.warning("reading_ahead_failed", model=self._name, exc_info=error)

    def _begin(self) -> Sequence[EndedReply]:
        ended: list[EndedReply] = []
        for row in [row for row in self._rows if row.decoding is None]:
            job = row.job
            try:
                row.decoding = self._model.begin(job.request, job.prompt, max_tokens=job.max_tokens)
            except Exception as error:  # noqa: BLE001 - this reply fails, the others go on
                ended += self._fail([row], error, alone=True)
        return ended

    def _deliver(self) -> Sequence[EndedReply]:
        ended: list[EndedReply] = []
        for row in list(self._rows):
            decoding, job = row.decoding, row.job
            if decoding is None:
                continue
            self.tokens_written += decoding.tokens - job.tokens_computed
            job.tokens_computed = decoding.tokens
            if decoding.error:
                ended += self._fail([row], decoding.error, alone=decoding.model_works)
                continue
            for chunk in decoding.take():
                job.deliver(chunk)
            if decoding.ended:
                job.cut_off = decoding.cut_off
                self._take_out(row)
                ended.append(EndedReply(job, None, row.age_s))
        return ended

    def _take_out(self, row: _BatchRow) -> None:
        self._rows.remove(row)
        if row.decoding:
            self._model.end(row.decoding)

    def _blamed(self) -> Sequence[_BatchRow]:
        """Return the replies that a failed step ends: the one whose prompt was being read; without one, all."""
        reading = [row for row in self._rows if row.decoding and row.decoding.reading]
        return reading[:1] or list(self._rows)

    def _fail(self, rows: Sequence[_BatchRow], error: Exception, *, alone: bool = False) -> Sequence[EndedReply]:
        # The cause is for the log alone, because it can hold names of files and parts of prompts.
        _log.error("generation_failed", model=self._name, replies=len(rows), exc_info=error)
        self._rows = [row for row in self._rows if row not in rows]
        short = self._model.is_out_of_memory(error)
        return [
            EndedReply(
                row.job,
                OutOfMemory() if short else GenerationFailed(),
                row.age_s,
                alone=alone and not short and not row.job.is_probe,
            )
            for row in rows
        ]


class _BatchRow:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.decoding: Decoding | None = None
        self._since = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since
