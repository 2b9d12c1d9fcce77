"""Models that tests load are many, and together larger than the memory of most machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatbill.adapters.inference.availability.heap import return_freed_memory


@pytest.fixture(scope="module", autouse=True)
def what_a_module_keeps_goes_with_it(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empties the `@cache` of a module's own functions, and gives the memory back, when its last test is over."""
    yield
    for kept in vars(request.module).values():
        if hasattr(kept, "cache_clear") and kept.__module__ == request.module.__name__:
            kept.cache_clear()
    return_freed_memory()
