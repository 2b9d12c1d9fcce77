"""Products of rows in 16 bits with int8 weights, in the ways that torch offers on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch.nn.functional import linear

Product: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Multiplies rows (M by K, bfloat16) by a weight (N by K, int8) whose rows have scales (N, bfloat16); M by N."""

ProductsByRows: TypeAlias = Callable[[int], Product]
"""Returns how a number of rows is multiplied."""

_UNPACKED_ROWS = 512
"""So few rows of the weight are unpacked at a time that they stay in the processor's cache."""

_PART = 254
"""A row is written as `scale * (high + low / 254)`, both in -127 to 127: about as exact as 16 bits."""

_LEAST = 1e-30
"""A row of zeros has this scale, because nothing can be divided by 0."""


def mixed(rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Multiply by torch's kernel for rows in bfloat16; it reads the weight once, and works on each row by itself."""
    return torch._weight_int8pack_mm(rows, weight, scales)  # noqa: SLF001 - torch has no other name for it


def split(rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Multiply int8 by int8, each row as a high and a low part; fast where the processor has VNNI.

    One part alone would lose outliers, which are large in a few columns: the perplexity of Gemma 3 270M rises by 3.5 %
    with one part, by 0.2 % with two. Without VNNI the sums of some kernels overflow, so the result must be checked.
    """
    count = rows.shape[0]
    values = rows.float()
    row_scales = torch.linalg.vector_norm(values, float("inf"), dim=1, keepdim=True).div_(127).clamp_min_(_LEAST)
    values.div_(row_scales)
    high = values.round()
    low = values.sub_(high).mul_(_PART).round_()
    sums = torch._int_mm(torch.cat((high, low)).to(torch.int8), weight.t())  # noqa: SLF001 - as above
    exact = torch.add(sums[:count].float(), sums[count:], alpha=1 / _PART).mul_(row_scales)
    return torch.mul(exact, scales, out=rows.new_empty(exact.shape))


def unpacked(rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Multiply by the weight in bfloat16, a block of it at a time."""
    output = rows.new_empty((rows.shape[0], weight.shape[0]))
    for start in range(0, weight.shape[0], _UNPACKED_ROWS):
        block = slice(start, start + _UNPACKED_ROWS)
        torch.mul(linear(rows, weight[block].to(rows.dtype)), scales[block], out=output[:, block])
    return output


def unpacked_32(rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Multiply in float32, for processors without instructions for bfloat16."""
    return unpacked(rows.float(), weight, scales).to(rows.dtype)


PRODUCTS: dict[str, Product] = {"mixed": mixed, "split": split, "unpacked": unpacked, "unpacked_32": unpacked_32}


def always_unpacked(_rows: int) -> Product:
    """Return the product that works everywhere, for layers that are not told which one is fast."""
    return unpacked
