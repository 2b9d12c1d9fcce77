"""The decode loop: one reply, token by token, on a key-value cache of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from chatbill.adapters.inference.transformers.sampling import Sampler


def write_tokens(
    prompt: torch.Tensor,
    *,
    forward: Callable[[torch.Tensor], torch.Tensor],
    sampler: Sampler,
    end_tokens: frozenset[int],
    max_tokens: int,
    prefill_tokens: int,
    stopped: Callable[[], bool],
) -> Iterator[int]:
    """The reply's token ids, at most `max_tokens`, without the one of `end_tokens` that ends it.

    `forward` reads tokens (1 by N) after those it has read before and gives the logits (1 by vocabulary) of the next.
    The prompt is read `prefill_tokens` at a time, because a stop is heard only between two calls. Nothing more is
    computed once `stopped()` is true.
    """
    tokens = prompt
    logits: torch.Tensor | None = None
    for part in torch.split(prompt, prefill_tokens, dim=1):
        if stopped():
            return
        logits = forward(part)
    if logits is None:
        return
    for count in range(1, max_tokens + 1):
        following = sampler.pick(tokens, logits)
        token = int(following)
        if token in end_tokens:
            return
        yield token
        if count == max_tokens or stopped():
            return
        tokens = torch.cat([tokens, following], dim=1)
        logits = forward(following)
