"""Attention by products of matrices sees the same keys as the kernel of torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chatbill.adapters.inference.transformers import torch_runtime

pytestmark = pytest.mark.timeout(120)

HEADS, GROUPS, SIZE = 6, 2, 16


@pytest.mark.parametrize("window", [None, 300, 2_000])
@pytest.mark.parametrize(("before", "tokens"), [(1_000, 40), (0, 700), (511, 1)])
def test_in_bfloat16_each_token_sees_what_it_sees_in_float32(before: int, tokens: int, window: int | None) -> None:
    torch_runtime("cpu")
    import torch  # noqa: PLC0415 - slow, and only for this test

    generator = torch.Generator().manual_seed(1)
    whole = [
        torch.randn(1, heads, before + tokens, SIZE, generator=generator).bfloat16()
        for heads in (HEADS, GROUPS, GROUPS)
    ]
    expected, got = (
        attended(torch, [part.to(kind) for part in whole], before, window) for kind in (torch.float32, torch.bfloat16)
    )

    assert torch.allclose(got.float(), expected, atol=0.02, rtol=0.02)


def attended(torch: Any, whole: list[Any], before: int, window: int | None) -> Any:
    from chatbill.adapters.inference.transformers.attention import BatchSlice, attend  # noqa: PLC0415 - imports torch
    from chatbill.adapters.inference.transformers.cache import RowCache  # noqa: PLC0415 - imports torch

    cache = RowCache(layers=1, limit=whole[0].shape[2])
    with torch.inference_mode():
        if before:
            cache.append(0, whole[1][:, :, :before], whole[2][:, :, :before], window=window)
            cache.advance(before)
        part = BatchSlice(cache, 0, whole[0].shape[2] - before)
        query, keys, values = (tensor[:, :, before:] for tensor in whole)
        module = SimpleNamespace(layer_idx=0)
        return attend(module, query, keys, values, None, parts=[part], sliding_window=window)[0]


def test_on_a_gpu_attention_is_not_planned_anew_for_each_token() -> None:
    runtime = torch_runtime("cuda")
    import torch  # noqa: PLC0415 - slow, and only for this test

    assert runtime.device == "cuda"
    assert not torch._C._get_cudnn_sdp_enabled()
