"""Return memory to the system that was freed but is kept by the C library."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable


def return_freed_memory() -> None:
    """Collect what nothing refers to, and hand all free pages of the heap to the system; takes some milliseconds.

    glibc keeps what was freed below a block that is still used. After a model in 8 bits has come or gone, which passes
    through many chunks of all sizes, that was seen to be twice the model. Other C libraries need no telling.
    """
    gc.collect()
    if trim := _malloc_trim():
        trim(0)


def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        return None  # no glibc here
    return trim
