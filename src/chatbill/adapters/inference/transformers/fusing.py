"""Join projections that read the same input, so that one product of matrices does the work of two or three."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.functional import linear

_GROUPS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names in the order in which Transformers calls them."""


def fuse_projections(model: nn.Module) -> None:
    """Join the plain linear layers of each group; quantized ones stay as they are.

    The weights move to one block of memory, a group at a time, so no more memory is needed than for one group.
    """
    for name, module in model.named_modules():
        if "vision" in name:
            continue
        for names in _GROUPS:
            layers = [layer for one in names if _is_plain(layer := getattr(module, one, None))]
            kinds = {(layer.in_features, layer.weight.dtype) for layer in layers}
            if len(layers) == len(names) and len(kinds) == 1:
                _join(module, names, layers)


def _is_plain(layer: Any) -> TypeGuard[nn.Linear]:
    # Quantized layers are classes of their own.
    return type(layer) is nn.Linear and layer.bias is None


def _join(module: nn.Module, names: Sequence[str], layers: Sequence[nn.Linear]) -> None:
    joined = _Joined(torch.cat([layer.weight.detach() for layer in layers]), [layer.out_features for layer in layers])
    for place, (name, layer) in enumerate(zip(names, layers, strict=True)):
        # Views, so that the layers have weights as before and the memory of the old ones is freed.
        layer.weight = nn.Parameter(joined.rows(place), requires_grad=False)
        setattr(module, name, _Part(layer.weight, place, joined))


class _Joined:
    """The product with all weights of a group; it is computed when the first layer of the group is called."""

    def __init__(self, weight: torch.Tensor, sizes: Sequence[int]) -> None:
        self._weight = weight
        self._sizes = list(sizes)
        self._input: torch.Tensor | None = None
        self._outputs: dict[int, torch.Tensor] = {}

    def rows(self, place: int) -> torch.Tensor:
        start = sum(self._sizes[:place])
        return self._weight[start : start + self._sizes[place]]

    def output(self, place: int, hidden: torch.Tensor) -> torch.Tensor:
        if self._input is not hidden or place not in self._outputs:
            self._input = hidden
            output = linear(hidden, self._weight)
            self._outputs = dict(enumerate(output.split_with_sizes(self._sizes, dim=-1)))
        output = self._outputs.pop(place)
        if not self._outputs:
            self._input = None
        return output


class _Part(nn.Module):
    """Takes the place of one linear layer of a group. One thread at a time may call the layers of a group."""

    def __init__(self, weight: nn.Parameter, place: int, joined: _Joined) -> None:
        super().__init__()
        self.weight = weight
        self._place = place
        self._joined = joined

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._joined.output(self._place, hidden)
