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
            mask = _mask(part, keys.shape[2], sliding_window, query.device)
            outputs.append(_attend_many(query[:, :, rows], keys, values, scaling, mask))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), None


AttentionInterface.register(ROWS, attend)


def _attend_one(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None) -> torch.Tensor:
    # One token sees all keys, so its heads can take the place of tokens: keys need not be repeated for them.
    packed = query.reshape(1, keys.shape[1], -1, query.shape[3])
    output = scaled_dot_product_attention(packed, keys, values, scale=scale)
    return output.reshape(1, 1, query.shape[1], values.shape[3])


def _attend_many(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None, mask: torch.Tensor | None
) -> torch.Tensor:
    repeats = query.shape[1] // keys.shape[1]
    output = scaled_dot_product_attention(
        query,
        keys.repeat_interleave(repeats, dim=1),
        values.repeat_interleave(repeats, dim=1),
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
    )
    return output.transpose(1, 2)


def _mask(part: BatchSlice, seen: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return which of the `seen` keys each token looks at; None where those are all keys before it."""
    tokens = part.end - part.start
    if seen == tokens and (window is None or tokens <= window):
        return None
    if (mask := part.masks.get((seen, window))) is None:
        keys = torch.arange(seen, device=device)
        queries = torch.arange(seen - tokens, seen, device=device)[:, None]
        mask = keys <= queries
        if window is not None:
            mask &= keys > queries - window
        part.masks[seen, window] = mask
    return mask
