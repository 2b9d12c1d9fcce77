"""What a test, or a fixture that tests share, made outside its own folders and must be cleared away after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
