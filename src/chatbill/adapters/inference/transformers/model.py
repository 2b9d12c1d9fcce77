"""A model in memory: it reads conversations and writes replies."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from transformers import DynamicCache, PreTrainedTokenizerBase

from chatbill.adapters.inference.model_spec import Sampling
from chatbill.adapters.inference.pieces import PieceMaker
from chatbill.adapters.inference.transformers.decoding import write_tokens
from chatbill.adapters.inference.transformers.detokenizer import Detokenizer
from chatbill.adapters.inference.transformers.prompts import encode_turns
from chatbill.adapters.inference.transformers.runtime import Device
from chatbill.adapters.inference.transformers.sampling import Sampler, requested
from chatbill.application.ports.engine import GenerationRequest, Piece
from chatbill.domain.chat import Turn

_PREFILL_TOKENS = {"cpu": 256, "cuda": 4_096}
"""Read in one go: about a quarter of a second for the demo model on two cores."""


class TransformersModel:
    """Weights and tokenizer of one model.

    Encoding changes a tokenizer's inner state for a moment, so `tokenizer` is for the thread that encodes, and
    `detokenizer`, another instance of the same, for the one that writes. `end_tokens` end a reply and are not in it.
    """

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: PreTrainedTokenizerBase,
        detokenizer: PreTrainedTokenizerBase,
        device: Device,
        end_tokens: frozenset[int],
        sampling: Sampling,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._detokenizer = detokenizer
        self._device = device
        self._end_tokens = end_tokens
        self._sampling = sampling

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        """By the model's own chat template."""
        return encode_turns(self._tokenizer, turns)

    def write(
        self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int, stopped: Callable[[], bool]
    ) -> Iterator[Piece]:
        """One piece a token, but where a character or a possible stop string is not complete yet."""
        text, pieces = Detokenizer(self._decode), PieceMaker(request.stop)
        sampler = Sampler(
            requested(self._sampling, request), seed=request.seed, prompt_tokens=len(prompt), device=self._device
        )
        cache = DynamicCache(config=self._model.config)
        with torch.inference_mode():
            for token in write_tokens(
                torch.tensor([list(prompt)], device=self._device),
                forward=lambda tokens: self._forward(tokens, cache),
                sampler=sampler,
                end_tokens=self._end_tokens,
                max_tokens=max_tokens,
                prefill_tokens=_PREFILL_TOKENS[self._device],
                stopped=lambda: pieces.stopped or stopped(),
            ):
                if piece := pieces.push(text.push(token), incomplete=text.incomplete):
                    yield piece
        if rest := pieces.finish(text.flush()):
            yield rest

    def is_out_of_memory(self, error: Exception) -> bool:
        """True for the errors of Python, of CUDA, and of torch's CPU allocator, which has no class of its own."""
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

    def free_memory(self) -> None:
        """Collect caches that nothing refers to any more, and give their memory back to the device."""
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _forward(self, tokens: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        logits = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return cast("torch.Tensor", logits[:, -1])

    def _decode(self, tokens: Sequence[int]) -> str:
        return cast("str", self._detokenizer.decode(list(tokens), skip_special_tokens=True))
