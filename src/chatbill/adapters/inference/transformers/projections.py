"""Prepare linear layers for a CPU: join those that read the same input, and pack their weights in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.functional import linear

_GROUPS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that read the same input, in the order in which Transformers calls them."""

_ALONE = ("o_proj", "down_proj", "lm_head")

_ROWS = 16
"""oneDNN chooses a layout for so many rows; it was as fast as any other with 1 to 256 rows."""


def prepare_projections(model: nn.Module) -> None:
    """Join the plain linear layers of each group, and pack what can be packed; quantized ones stay as they are.

    The weights move to one block of memory, a group at a time, so no more memory is needed than for one group. An
    embedding that shares the weight of the output layer keeps it, in the file from which it was read.
    """
    for name, module in model.named_modules():
        if "vision" in name:
            continue
        for names in (*_GROUPS, *((name,) for name in _ALONE)):
            layers = [layer for one in names if _is_plain(layer := getattr(module, one, None))]
            kinds = {(layer.in_features, layer.weight.dtype) for layer in layers}
            if len(layers) == len(names) and len(kinds) == 1 and (len(layers) > 1 or _can_pack(layers[0].weight)):
                joined = _Joined(layers)
                for place, one in enumerate(names):
                    setattr(module, one, _Part(place, joined))


def _is_plain(layer: Any) -> TypeGuard[nn.Linear]:
    # Quantized layers are classes of their own.
    return type(layer) is nn.Linear and layer.bias is None


def _has_mkldnn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _can_pack(weight: torch.Tensor) -> bool:
    """Return whether oneDNN multiplies by this weight on this processor."""
    if weight.device.type != "cpu" or weight.dtype is not torch.bfloat16 or not _has_mkldnn():
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch has no other name for it


class _Joined:
    """The product with all weights of a group; it is computed when the first layer of the group is called.

    torch's product of one row reads 8 GB/s with one core of an EPYC with AVX-512; with a packed weight 12 to 14.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._sizes = [layer.out_features for layer in layers]
        weights = [layer.weight.detach() for layer in layers]
        self.weight = torch.cat(weights) if len(weights) > 1 else weights[0]
        self._product: Callable[[torch.Tensor], torch.Tensor] = self._plain
        if _can_pack(self.weight):
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, _ROWS)  # noqa: SLF001 - as above
            self._product = self._packed
        self._input: torch.Tensor | None = None
        self._outputs: dict[int, torch.Tensor] = {}

    def output(self, place: int, hidden: torch.Tensor) -> torch.Tensor:
        if len(self._sizes) == 1:
            return self._product(hidden)
        if self._input is not hidden or place not in self._outputs:
            self._input = hidden
            output = self._product(hidden)
            self._outputs = dict(enumerate(output.split_with_sizes(self._sizes, dim=-1)))
        output = self._outputs.pop(place)
        if not self._outputs:
            self._input = None
        return output

    def _plain(self, hidden: torch.Tensor) -> torch.Tensor:
        return linear(hidden, self.weight)

    def _packed(self, hidden: torch.Tensor) -> torch.Tensor:
        multiply = torch.ops.mkldnn._linear_pointwise.default  # noqa: SLF001 - as above
        output: torch.Tensor = multiply(hidden, self.weight, None, "none", [], "")
        return output


class _Part(nn.Module):
    """Takes the place of one linear layer of a group. One thread at a time may call the layers of a group."""

    def __init__(self, place: int, joined: _Joined) -> None:
        super().__init__()
        self._place = place
        self._joined = joined

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._joined.output(self._place, hidden)
