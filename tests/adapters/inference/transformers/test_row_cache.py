"""The memory of one reply, held against a plain list of everything that was ever appended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.transformers import torch_runtime

STEPS = st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def torch() -> Any:
    torch_runtime()
    import torch  # noqa: PLC0415 - slow, and only for these tests

    return torch


@pytest.fixture(scope="module")
def row_cache(torch: Any) -> Any:
    from chatbill.adapters.inference.transformers.cache import RowCache  # noqa: PLC0415 - imports torch

    return RowCache


@given(steps=STEPS, window=st.none() | st.integers(1, 100))
def test_a_step_sees_what_came_before_it_as_far_as_the_window_reaches(
    torch: Any, row_cache: Any, steps: list[tuple[int, bool]], window: int | None
) -> None:
    total = sum(tokens for tokens, _ in steps)
    row = row_cache(layers=1, limit=total)
    values = torch.arange(float(total)).reshape(1, 1, total, 1)
    done = 0
    for tokens, breaks in steps:
        new = values[:, :, done : done + tokens]
        if breaks:
            # A step that was never finished, with other tokens: it must leave no trace.
            row.append(0, -new, -new, window=window)
        keys, seen = row.append(0, new, new + 0.5, window=window)
        row.advance(tokens)
        first = 0 if window is None else max(0, done - window + 1)
        done += tokens
        assert torch.equal(keys, values[:, :, first:done])
        assert torch.equal(seen, values[:, :, first:done] + 0.5)

    assert row.length == total


@given(tokens=st.integers(1, 400), window=st.integers(1, 64))
def test_memory_stays_within_the_limit_and_near_the_window(
    torch: Any, row_cache: Any, tokens: int, window: int
) -> None:
    full, sliding = (row_cache(layers=1, limit=400) for _ in range(2))
    one = torch.zeros(1, 1, 1, 1)
    for row, reach in ((full, None), (sliding, window)):
        for _ in range(tokens):
            row.append(0, one, one, window=reach)
            row.advance(1)

    a_token = 2 * one.nbytes
    assert full.size_bytes <= 400 * a_token
    assert full.size_bytes <= (tokens + tokens // 2 + 65) * a_token
    assert sliding.size_bytes <= (window + window // 2 + 64) * a_token


def test_layers_without_keys_are_detected(torch: Any, row_cache: Any) -> None:
    row = row_cache(layers=2, limit=4)
    row.append(1, torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), window=None)

    assert row.layers_in_use == 1
