"""Compare the tokens that a model writes, alone and in a batch, with a plain `generate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chatbill.adapters.inference.transformers.runtime import LocalModel
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId

_RESOLVED_BITS = 8
"""Significant bits of a bfloat16, the hidden one included."""

_LIKELIEST = 10

SHORT_REPLIES, SHORT_TOKENS = 4, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A greedy reply to write: it joins at a step, and leaves early after some tokens where `leaves_after` says so."""

    prompt: tuple[int, ...]
    max_tokens: int = 32
    joins_at: int = 0
    leaves_after: int | None = None


def shorter_in_bfloat16(asked: Sequence[Asked]) -> list[Asked]:
    """Return fewer and shorter replies where the processor has no products in bfloat16 and takes seconds a token."""
    import torch  # noqa: PLC0415 - slow, and only for tests with models

    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return list(asked)
    short = sorted(asked, key=lambda ask: len(ask.prompt))[:SHORT_REPLIES]
    return [replace(ask, max_tokens=min(ask.max_tokens, SHORT_TOKENS)) for ask in short]


def write_together(model: LocalModel, asked: Sequence[Asked]) -> list[list[int]]:
    """Return the token ids of each reply, written in one batch."""
    writings: dict[int, Any] = {}
    tokens: dict[int, list[int]] = {}
    step = 0
    while len(tokens) < len(asked):
        for index, ask in enumerate(asked):
            if ask.joins_at <= step and index not in writings:
                writings[index] = model.begin(_GREEDY, ask.prompt, max_tokens=ask.max_tokens)
        if running := {index: writing for index, writing in writings.items() if index not in tokens}:
            model.step(list(running.values()))
        for index, writing in running.items():
            if writing.error:
                raise writing.error
            if writing.ended or writing.tokens == asked[index].leaves_after:
                tokens[index] = writing.written[0].tolist()
                writings[index] = None
        step += 1
    return [tokens[index] for index in range(len(asked))]


def plain_greedy(weights: Any, ask: Asked, *, end_tokens: frozenset[int]) -> list[int]:
    """Return what `generate` writes with the model alone."""
    import torch  # noqa: PLC0415 - slow, and only for tests with models

    prompt = torch.tensor([ask.prompt])
    # Without the checkpoint's own defaults: only the tokens matter here.
    output = weights.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=ask.max_tokens,
        do_sample=False,
        top_k=None,
        top_p=None,
    )
    own: list[int] = output[0][prompt.shape[1] :].tolist()
    own = own[: next((place for place, token in enumerate(own) if token in end_tokens), len(own))]
    return own[: ask.leaves_after]


def assert_same_but_for_a_near_tie(
    weights: Any, ask: Asked, expected: Sequence[int], written: Sequence[int], *, in_bfloat16: Any = None
) -> None:
    """Check that both are equal, or that the two logits where they differ are closer than bfloat16 resolves.

    After that the texts differ, so nothing more can be compared. `weights` in float32 settles how close they are. What
    bfloat16 resolves is the step between its numbers at the size of the logits; or, where the same plain model is
    given `in_bfloat16`, how far its logits of the likeliest tokens are from those in float32 at this very place. That
    is more where a logit is a small sum of large terms.
    """
    pairs = zip(expected, written, strict=False)
    place = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
    if place is None:
        assert list(expected) == list(written)
        return
    context = [*ask.prompt, *expected[:place]]
    logits = _logits(weights, context)
    one, other = float(logits[expected[place]]), float(logits[written[place]])
    resolved = 2.0 ** (math.floor(math.log2(max(abs(one), abs(other)))) + 1 - _RESOLVED_BITS)
    if in_bfloat16 is not None:
        likeliest = logits.topk(_LIKELIEST).indices
        off = (_logits(in_bfloat16, context).float() - logits)[likeliest].abs().max()
        resolved = max(resolved, 2 * float(off))
    assert abs(one - other) < resolved, f"token {place}: {one} and {other} are no tie, bfloat16 resolves {resolved}"


def _logits(weights: Any, context: list[int]) -> Any:
    import torch  # noqa: PLC0415 - slow, and only for tests with models

    with torch.inference_mode():
        return weights(torch.tensor([context])).logits[0, -1]


_GREEDY = GenerationRequest(
    model=ModelId("any"), turns=(Turn(Role.USER, "not read"),), max_tokens=1, temperature=0.0, top_p=None
)
