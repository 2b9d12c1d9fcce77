"""Attention over replies of different lengths in one step, each over its own keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from chatbill.adapters.inference.transformers.cache import RowCache
from chatbill.adapters.inference.transformers.runtime import NotLoadable
from chatbill.domain.shared.descriptions import Description

ROWS = "chatbill_rows"
"""The name under which Transformers finds this attention. A model that uses it builds no masks."""

# Ways in which some models change their attention, and which are not supported here.
_NOT_DONE = ("softcap", "s_aux", "position_bias")

_LEAST_KEYS = 512
"""With fewer keys, torch's own kernel for bfloat16 is about as fast on a CPU, and rounds less."""

_MOST_SCORES = 1 << 24
"""Scores of queries with keys that are kept at once, 2 bytes each; more are left to torch's own kernel."""


@dataclass(slots=True)
class BatchSlice:
    """The tokens of one reply within a step: `start` to `end` of all the tokens that the model reads in it."""

    cache: RowCache
    start: int
    end: int
    masks: dict[tuple[int, int | None], torch.Tensor] = field(default_factory=dict)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - of the interface; there is none
    *,
    parts: Sequence[BatchSlice],
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Transformers' attention interface. `query` is 1 by heads by tokens by size, the result 1 by tokens by heads..."""
    if any(more.get(name) is not None for name in _NOT_DONE):
        raise NotLoadable(Description("model_attention_unsupported"))
    outputs = []
    for part in parts:
        rows = slice(part.start, part.end)
        keys, values = part.cache.append(module.layer_idx, key[:, :, rows], value[:, :, rows], window=sliding_window)
        if part.end - part.start == 1:
            outputs.append(_attend_one(query[:, :, rows], keys, values, scaling))
        else:
            outputs.append(_attend_many(part, query[:, :, rows], keys, values, scaling, sliding_window))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), None


AttentionInterface.register(ROWS, attend)


def _attend_one(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None) -> torch.Tensor:
    # One token sees all keys, so its heads can take the place of tokens: keys need not be repeated for them.
    packed = query.reshape(1, keys.shape[1], -1, query.shape[3])
    output = scaled_dot_product_attention(packed, keys, values, scale=scale)
    return output.reshape(1, 1, query.shape[1], values.shape[3])


def _attend_many(
    part: BatchSlice,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    tokens, seen = query.shape[2], keys.shape[2]
    on_cpu = query.device.type == "cpu"
    pays = seen >= _LEAST_KEYS and query.shape[1] // keys.shape[1] * tokens * seen <= _MOST_SCORES
    if on_cpu and query.dtype is torch.bfloat16 and pays:
        # Without a window only keys of these tokens themselves can be hidden.
        masked = tokens if window is None or seen <= window else seen
        return _by_products(query, keys, values, scale, _mask(part, query, masked, window))
    if not on_cpu:
        # The kernels of a GPU that take a mask know no groups of heads.
        repeats = query.shape[1] // keys.shape[1]
        keys, values = keys.repeat_interleave(repeats, dim=1), values.repeat_interleave(repeats, dim=1)
    is_causal = seen == tokens and (window is None or tokens <= window)
    mask = None if is_causal else _mask(part, query, seen, window)
    output = scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=on_cpu
    )
    return output.transpose(1, 2)


def _by_products(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None, mask: torch.Tensor
) -> torch.Tensor:
    """Attend with two products of matrices, which take half the time of torch's kernel for bfloat16 on a CPU.

    One group of heads after the other, so that its scores stay in the processor's cache.
    """
    heads, tokens, size = query.shape[1:]
    groups, seen = keys.shape[1:3]
    packed = (query * (size**-0.5 if scale is None else scale)).reshape(groups, -1, size)
    scores = query.new_empty(packed.shape[1], seen)
    hidden = scores.view(-1, tokens, seen)[:, :, seen - mask.shape[1] :]
    output = query.new_empty(groups, packed.shape[1], values.shape[3])
    for group in range(groups):
        torch.mm(packed[group], keys[0, group].t(), out=scores)
        hidden.add_(mask)
        torch.mm(torch.softmax(scores, dim=-1, out=scores), values[0, group], out=output[group])
    return output.view(1, heads, tokens, -1).transpose(1, 2)


def _mask(part: BatchSlice, query: torch.Tensor, seen: int, window: int | None) -> torch.Tensor:
    """Return what is added to the scores of the `seen` keys: minus infinity where a token does not look."""
    if (mask := part.masks.get((seen, window))) is None:
        tokens = part.end - part.start
        keys = torch.arange(seen, device=query.device)
        queries = torch.arange(seen - tokens, seen, device=query.device)[:, None]
        hidden = keys > queries
        if window is not None:
            hidden |= keys <= queries - window
        mask = query.new_zeros(tokens, seen).masked_fill_(hidden, -torch.inf)
        part.masks[seen, window] = mask
    return mask
