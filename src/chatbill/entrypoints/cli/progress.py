"""How models come up, shown: bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

import structlog
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_log = structlog.get_logger(__name__)


class Step(Protocol):
    """How far a model has come; bytes are 0 where they mean nothing."""

    @property
    def stage(self) -> str:
        """One word for what is being done."""
        ...

    @property
    def done_bytes(self) -> int:
        """Bytes so far."""
        ...

    @property
    def total_bytes(self) -> int:
        """Bytes in all."""
        ...


class LoadingProgress:
    """Shows each model's progress while it is entered; may be told from any thread."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start showing."""
        if sys.stderr.isatty():
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[model]:<20} {task.description:<10}"),
                BarColumn(),
                DownloadColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing; the last state stays on the screen."""
        if self._bars:
            self._bars.stop()

    def report(self, model: str, step: Step) -> None:
        """Show one step of one model."""
        if self._bars is None:
            if self._stages.get(model) != step.stage:
                self._stages[model] = step.stage
                _log.info("a model is made ready", model=model, stage=step.stage)
            return
        if model not in self._tasks:
            self._tasks[model] = self._bars.add_task(step.stage, model=model, total=None)
        done = step.stage == "ready"
        total = step.total_bytes or (1 if done else None)
        self._bars.update(
            self._tasks[model], description=step.stage, completed=total if done else step.done_bytes, total=total
        )
