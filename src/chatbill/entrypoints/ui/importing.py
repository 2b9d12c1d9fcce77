"""Imports Gradio without the type stubs that it otherwise writes at each import, in half of the time."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stubs() -> Iterator[None]:
    """Let Gradio write no stubs meanwhile, for which it parses the source of each component several times.

    It writes none for a component without a file, as `create_or_modify_pyi` in gradio/component_meta.py says, and
    no setting turns it off. All other classes have their files as before.
    """
    file_of = inspect.getfile

    def no_file_of_gradio(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("classes of Gradio have no file while it is imported")
        return file_of(thing)

    inspect.getfile = no_file_of_gradio  # type: ignore[assignment]  # its parameter has another name
    try:
        yield
    finally:
        inspect.getfile = file_of
