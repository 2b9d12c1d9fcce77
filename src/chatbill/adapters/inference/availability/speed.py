"""Measure how fast a model writes, through its engine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.application.ports.engine import Engine, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed

_QUESTION = Turn(Role.USER, "Tell me a long story about a fox who learns to sail. Describe the sea.")
_TOKENS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed at which a model writes one reply. `how` says whether it was measured or estimated.

    An estimate is the most that the machine's memory allows, by reading all weights once for each token; most models
    stay below. Times in seconds, 0 where not measured.
    """

    how: Literal["measured", "estimate"]
    tokens_per_s: float
    first_token_s: float = 0.0
    load_s: float = 0.0


async def measured(engine: Engine, spec: ModelSpec) -> Speed:
    """Measure a reply of some tokens. Raises the engine's errors, and `GenerationFailed` if no token comes."""
    tokens = min(_TOKENS, spec.max_reply_tokens)
    started = time.monotonic()
    generation = await engine.prepare(
        GenerationRequest(model=spec.id, turns=(_QUESTION,), max_tokens=tokens, temperature=0.0)
    )
    asked = time.monotonic()
    seen = [(time.monotonic(), chunk.tokens) async for chunk in generation.stream()]
    if not seen:
        raise GenerationFailed("nothing_written")
    (first, first_tokens), last = seen[0], seen[-1][0]
    whole = generation.completion_tokens or sum(tokens for _, tokens in seen)
    # Some servers send a reply in one part; then only the whole of it can be measured.
    counted, took_s = (whole - first_tokens, last - first) if whole > first_tokens else (whole, last - asked)
    return Speed(
        how="measured",
        tokens_per_s=counted / took_s if took_s > 0 else 0.0,
        first_token_s=first - asked,
        load_s=asked - started,
    )
