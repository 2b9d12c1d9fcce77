"""Frees the models of each module, which together are larger than the memory of most machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatbill.adapters.inference.availability.heap import return_freed_memory


@pytest.fixture(scope="module", autouse=True)
def free_what_a_module_cached(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the `@cache` of a module's own functions, and return the memory, after its last test."""
    yield
    for kept in vars(request.module).values():
        if hasattr(kept, "cache_clear") and kept.__module__ == request.module.__name__:
            kept.cache_clear()
    return_freed_memory()
