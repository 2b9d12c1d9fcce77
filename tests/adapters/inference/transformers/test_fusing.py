"""Projections that read the same input are one product, with the same result."""

from __future__ import annotations

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


def fuse(module: Any) -> None:
    from chatbill.adapters.inference.transformers.fusing import fuse_projections  # noqa: PLC0415 - imports torch

    fuse_projections(module)


def test_each_layer_gives_what_it_gave_before_in_any_order(torch: Any) -> None:
    module = layer(torch, q_proj=12, k_proj=4, v_proj=4, gate_proj=8, up_proj=8)
    inputs = [torch.randn(1, 3, 16) for _ in range(2)]
    names = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "k_proj", "q_proj", "q_proj")
    calls = [(name, inputs[place % 2 if place > 4 else 0]) for place, name in enumerate(names)]
    expected = [getattr(module, name)(hidden) for name, hidden in calls]
    fuse(module)

    assert all(torch.allclose(getattr(module, name)(x), one) for (name, x), one in zip(calls, expected, strict=True))


def test_a_group_is_one_block_of_memory_and_its_weights_are_still_there(torch: Any) -> None:
    module = layer(torch, q_proj=12, k_proj=4, v_proj=4)
    before = {name: weight.clone() for name, weight in module.named_parameters()}
    fuse(module)
    after = dict(module.named_parameters())

    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert len({weight.untyped_storage().data_ptr() for weight in after.values()}) == 1
    assert sum(weight.nbytes for weight in after.values()) == next(iter(after.values())).untyped_storage().nbytes()


def test_layers_of_another_kind_stay_as_they_are(torch: Any) -> None:
    class Quantized(torch.nn.Linear):  # type: ignore[misc]
        pass

    module = layer(torch, gate_proj=8, up_proj=8)
    module.up_proj = quantized = Quantized(16, 8, bias=False)
    gate = module.gate_proj
    fuse(module)

    assert (module.gate_proj, module.up_proj) == (gate, quantized)
