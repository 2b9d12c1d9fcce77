"""Layers with int8 weights, one scale for each row of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import embedding

from chatbill.adapters.inference.transformers.int8.products import ProductsByRows, always_unpacked

COLUMNS = 16
"""Weights have a multiple of so many columns, because torch's kernels read so many at once, past the end of a row."""

_BLOCK_ROWS = 2_048
_LEAST_SCALE = 1e-12
_LARGEST = 127


def quantized(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight in int8 and the scales of its rows in bfloat16, with a few rows at a time in float32."""
    integers = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(weight.shape[0], dtype=torch.bfloat16)
    for start in range(0, weight.shape[0], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = weight[rows].float()
        # Divided by the scale as it is kept, in 16 bits, so that its rounding costs nothing.
        scales[rows] = block.abs().amax(dim=1).div_(_LARGEST).clamp_min_(_LEAST_SCALE)
        integers[rows] = block.div(scales[rows, None]).round_().clamp_(-_LARGEST, _LARGEST)
    return integers, scales


class Int8Linear(nn.Module):
    """A linear layer whose `products` say, for a number of rows, how they are multiplied."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight, self.weight_scale = _parameters(out_features, in_features)
        self.bias = _parameter(out_features, dtype=torch.bfloat16) if bias else None
        self.products: ProductsByRows = always_unpacked

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the products in the type of the inputs."""
        rows = inputs.reshape(-1, self.in_features).to(torch.bfloat16).contiguous()
        output = self.products(rows.shape[0])(rows, self.weight, self.weight_scale)
        if self.bias is not None:
            output += self.bias
        return output.view(*inputs.shape[:-1], self.out_features).to(inputs.dtype)


class Int8Embedding(nn.Module):
    """An embedding that shares its weight with the output layer. Its rows are multiplied by `factor`, as in Gemma."""

    def __init__(self, original: nn.Embedding) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = original.num_embeddings, original.embedding_dim
        self.padding_idx = original.padding_idx
        self.weight, self.weight_scale = _parameters(original.num_embeddings, original.embedding_dim)
        self.factor = embedding_factor(original)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows of these tokens in bfloat16."""
        rows = embedding(ids, self.weight) * self.weight_scale[ids].unsqueeze(-1)
        return rows if self.factor is None else rows * self.factor


def embedding_factor(module: Any) -> float | None:
    """Return the number by which the embedding multiplies its rows, rounded to 16 bits as Transformers does it."""
    factor = getattr(module, "scalar_embed_scale", None)
    return None if factor is None else float(torch.tensor(factor, dtype=torch.bfloat16, device="cpu"))


def _parameters(rows: int, columns: int) -> tuple[nn.Parameter, nn.Parameter]:
    return _parameter(rows, columns, dtype=torch.int8), _parameter(rows, dtype=torch.bfloat16)


def _parameter(*shape: int, dtype: torch.dtype) -> nn.Parameter:
    """Return a parameter that gets its values from a checkpoint."""
    return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"), requires_grad=False)
