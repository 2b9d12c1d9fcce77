"""Projections that read the same input are one product, and packed weights are read faster, with the same result."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest

from chatbill.adapters.inference.transformers import torch_runtime

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def torch() -> Any:
    torch_runtime("cpu")
    import torch  # noqa: PLC0415 - slow, and only for these tests

    return torch


def layer(torch: Any, **sizes: int) -> Any:
    module = torch.nn.Module()
    for name, size in sizes.items():
        setattr(module, name, torch.nn.Linear(16, size, bias=False))
    return module.requires_grad_(False)


def prepare(module: Any) -> None:
    from chatbill.adapters.inference.transformers.projections import prepare_projections  # noqa: PLC0415 - imports torch

    prepare_projections(module)


def test_each_layer_gives_what_it_gave_before_in_any_order(torch: Any) -> None:
    module = layer(torch, q_proj=12, k_proj=4, v_proj=4, gate_proj=8, up_proj=8)
    inputs = [torch.randn(1, 3, 16) for _ in range(2)]
    names = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "k_proj", "q_proj", "q_proj")
    calls = [(name, inputs[place % 2 if place > 4 else 0]) for place, name in enumerate(names)]
    expected = [getattr(module, name)(hidden) for name, hidden in calls]
    prepare(module)

    assert all(torch.allclose(getattr(module, name)(x), one) for (name, x), one in zip(calls, expected, strict=True))


def test_weights_in_16_bits_are_packed_and_give_the_same(torch: Any) -> None:
    module = layer(torch, q_proj=48, k_proj=16, v_proj=16, o_proj=32, down_proj=32, lm_head=96).bfloat16()
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj", "lm_head")
    for rows in (1, 3, 200):
        prepared, hidden = copy.deepcopy(module), torch.randn(1, rows, 16, dtype=torch.bfloat16)
        prepare(prepared)
        for name in names:
            expected, found = (getattr(one, name)(hidden) for one in (module, prepared))

            assert found.shape == expected.shape
            assert torch.allclose(found, expected, rtol=0.02, atol=0.01)
        types = {type(getattr(prepared, name)) for name in ("o_proj", "lm_head")}
        assert (types == {torch.nn.Linear}) is not torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_memory_of_the_single_layers_is_freed(torch: Any, kind: str) -> None:
    module = layer(torch, q_proj=12, k_proj=4, v_proj=4).to(getattr(torch, kind))
    before = [weakref.ref(weight) for weight in module.parameters()]
    prepare(module)

    assert not any(weight() is not None for weight in before)


def test_an_embedding_keeps_the_weight_that_it_shared_with_the_output_layer(torch: Any) -> None:
    module = layer(torch, lm_head=32).bfloat16()
    module.embedding = torch.nn.Embedding(32, 16, _weight=module.lm_head.weight)
    expected = module.embedding(torch.arange(32))
    prepare(module)

    assert torch.equal(module.embedding(torch.arange(32)), expected)


def test_layers_of_another_kind_stay_as_they_are(torch: Any) -> None:
    class Quantized(torch.nn.Linear):  # type: ignore[misc]
        pass

    module = layer(torch, gate_proj=8, up_proj=8)
    module.up_proj = quantized = Quantized(16, 8, bias=False)
    gate = module.gate_proj
    prepare(module)

    assert (module.gate_proj, module.up_proj) == (gate, quantized)
