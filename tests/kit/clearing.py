"""What a test, or a fixture that tests share, made outside its own folders and must be cleared away after it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

Undo = Callable[[], object]

_undos: list[list[Undo]] = [[]]
"""Those of each `cleared_after` that is open, the innermost last."""


def when_over(undo: Undo) -> None:
    """Call `undo` when the present test or shared fixture is over."""
    _undos[-1].append(undo)


@contextmanager
def cleared_after(later: Callable[[Undo], object]) -> Iterator[None]:
    """Hand `later` a function that clears away what is made inside the block."""
    undos: list[Undo] = []

    def clear() -> None:
        while undos:
            undos.pop()()

    later(clear)
    _undos.append(undos)
    try:
        yield
    finally:
        _undos.pop()


def folder_of_process(prefix: str, first: str = ":") -> tuple[Path, subprocess.Popen[bytes]]:
    """Return a new temporary folder, and a shell that deletes it when this process ends or closes the pipe to it.

    The shell runs the command `first` before, with the folder as `$0`.
    """
    folder, quiet = Path(mkdtemp(prefix=prefix)), subprocess.DEVNULL
    script = f'cat\n{first}\nrm -rf "$0"'
    command = ["sh", "-c", script, str(folder)]
    return folder, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True)
