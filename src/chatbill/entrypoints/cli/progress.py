"""Shows the loading of models: as bars on a terminal, as log lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

import structlog
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_log = structlog.get_logger(__name__)


class Step(Protocol):
    """The progress of a model. Bytes are 0 if they do not apply."""

    @property
    def stage(self) -> str:
        """Return one word for the current step."""
        ...

    @property
    def done_bytes(self) -> int:
        """Return the bytes so far."""
        ...

    @property
    def total_bytes(self) -> int:
        """Return the total bytes."""
        ...


class LoadingProgress:
    """Shows the progress of each model while it is entered. `report` may be called from any thread."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the display."""
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
        """Stop the display. The last state stays on the screen."""
        if self._bars:
            self._bars.stop()

    def report(self, model: str, step: Step) -> None:
        """Show a step of a model."""
        if self._bars is None:
            if self._stages.get(model) != step.stage:
                self._stages[model] = step.stage
                _log.info("model_made_ready", model=model, stage=step.stage)
            return
        if model not in self._tasks:
            self._tasks[model] = self._bars.add_task(step.stage, model=model, total=None)
        done = step.stage == "ready"
        total = step.total_bytes or (1 if done else None)
        self._bars.update(
            self._tasks[model], description=step.stage, completed=total if done else step.done_bytes, total=total
        )
