"""Pick the next token: greedy, or at random within temperature, top-k and top-p."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.application.ports.engine import GREEDY_BELOW, GenerationRequest


def sampling_of(generation_config: Any, preferred: Sampling) -> Sampling:
    """Return a model's defaults: those of the catalogue, then those of the checkpoint, then greedy."""
    if generation_config.do_sample:
        own = Sampling(
            temperature=_or(generation_config.temperature, 1.0),
            top_p=generation_config.top_p,
            top_k=generation_config.top_k,
            repetition_penalty=generation_config.repetition_penalty,
        )
    else:
        own = Sampling(temperature=0.0, repetition_penalty=generation_config.repetition_penalty)
    return Sampling(
        temperature=_or(preferred.temperature, own.temperature),
        top_p=_or(preferred.top_p, own.top_p),
        top_k=_or(preferred.top_k, own.top_k),
        repetition_penalty=_or(preferred.repetition_penalty, own.repetition_penalty),
    )


def requested(defaults: Sampling, request: GenerationRequest) -> Sampling:
    """Return the defaults, overridden by the request."""
    return replace(
        defaults,
        temperature=_or(request.temperature, defaults.temperature),
        top_p=_or(request.top_p, defaults.top_p),
    )


class Sampler:
    """Picks the tokens of one reply. Its randomness is its own: no other reply can disturb a seed.

    The repetition penalty looks at the reply alone, so words of the question can be repeated freely.
    """

    def __init__(self, sampling: Sampling, *, seed: int | None, device: str) -> None:
        self.device = device
        temperature = sampling.temperature or 0.0
        self._greedy = temperature < GREEDY_BELOW
        self._generator = torch.Generator(device=device)
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)
        self._steps = LogitsProcessorList()
        if sampling.repetition_penalty not in (None, 1.0):
            self._steps.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        if not self._greedy:
            self._steps.append(TemperatureLogitsWarper(temperature))
            if sampling.top_k:
                self._steps.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p and sampling.top_p < 1:
                self._steps.append(TopPLogitsWarper(sampling.top_p))

    def pick(self, tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the next token (1 by 1). `tokens` (1 by N) is the reply so far, `logits` is 1 by vocabulary."""
        scores = self._steps(cast("torch.LongTensor", tokens), cast("torch.FloatTensor", logits.float()))
        if self._greedy:
            return scores.argmax(dim=-1, keepdim=True)
        return torch.multinomial(scores.softmax(dim=-1), num_samples=1, generator=self._generator)


def _or(first: float | None, second: Any) -> Any:
    return second if first is None else first
