"""A model in memory: it reads conversations and writes replies, many of them together."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import PreTrainedTokenizerBase

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.adapters.inference.transformers.attention import BatchSlice
from chatbill.adapters.inference.transformers.cache import RowCache
from chatbill.adapters.inference.transformers.decoding import ReplyDecoding
from chatbill.adapters.inference.transformers.prefix_cache import PrefixCache, common_length
from chatbill.adapters.inference.transformers.prompts import closing_tokens, encode_turns
from chatbill.adapters.inference.transformers.runtime import Decoding, Device, NotLoadable
from chatbill.adapters.inference.transformers.sampling import Sampler, requested
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import UserId

_READ_ALONE = {"cpu": 256, "cuda": 4_096}
"""Tokens of prompts that one step reads: a stop is heard only between two steps."""

_READ_IN_COMPANY = {"cpu": 128, "cuda": 1_024}
"""The same while other replies are being written, which wait for it."""


_MOST_ENDED = 8
"""Ended replies whose next turn can be read ahead; more end only while the model has no time for that."""


@dataclass(frozen=True, slots=True)
class _EndedReply:
    """What was read for a reply, and the tokens with which its next turn begins."""

    owner: UserId
    cache: weakref.ref[RowCache]
    following: Sequence[int]


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
        self._layers = int(model.config.get_text_config().num_hidden_layers)
        self._tokenizer = tokenizer
        self._detokenizer = detokenizer
        self._device = device
        self._end_tokens = end_tokens
        self._sampling = sampling
        self.prefixes: PrefixCache[RowCache] = PrefixCache()
        self._ended: deque[_EndedReply] = deque(maxlen=_MOST_ENDED)
        self._closing: Sequence[int] = ()
        self._beginning: Sequence[int] = ()
        self._beginning_cache = RowCache(layers=0, limit=0)

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        """Encode them by the model's own chat template."""
        return encode_turns(self._tokenizer, turns)

    def begin(self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int) -> ReplyDecoding:
        """Return a decoding whose cache begins with what was read before for its owner."""
        limit = len(prompt) + max_tokens
        return ReplyDecoding(
            prompt,
            max_tokens=max_tokens,
            sampler=Sampler(requested(self._sampling, request), seed=request.seed, device=self._device),
            decode=self._decode,
            stop=request.stop,
            end_tokens=self._end_tokens,
            cache=self._read_before(request.owner, prompt, limit=limit) or RowCache(layers=self._layers, limit=limit),
            owner=request.owner,
        )

    def end(self, decoding: Decoding) -> None:
        """Keep what was read and written for its owner."""
        if not isinstance(decoding, ReplyDecoding) or decoding.owner is None or decoding.error:
            return
        cache, tokens = decoding.cache, decoding.conversation
        self.prefixes.keep(decoding.owner, tokens[: cache.length], cache)
        # A layer with a window must not move on, because a changed message goes back.
        if decoding.complete and self._closing and not cache.forgets:
            self._ended.append(_EndedReply(decoding.owner, weakref.ref(cache), (*tokens, *self._closing)))

    @property
    def can_read_ahead(self) -> bool:
        """True after replies that were not stopped."""
        return bool(self._ended)

    def read_ahead(self) -> None:
        """Read the end of the latest reply and what the template writes up to the next message."""
        ended = self._ended.pop()
        cache = ended.cache()
        if cache is not None and self.prefixes.remove(cache):
            self._read(ended.following, cache.resume(limit=len(ended.following)))
            self.prefixes.keep(ended.owner, ended.following, cache)

    def step(self, decodings: Sequence[Decoding]) -> None:
        """Run the model once over all that these replies have to read next.

        New replies read at the same time as the others write, in the order in which they came and a bounded number of
        tokens at a time. Where memory is short, what is kept of ended replies is given up first.
        """
        try:
            return self._step(decodings)
        except Exception as error:
            if not self.is_out_of_memory(error) or not self.prefixes.clear():
                raise
        self.free_memory()
        return self._step(decodings)

    @torch.inference_mode()
    def _step(self, decodings: Sequence[Decoding]) -> None:
        replies = [decoding for decoding in decodings if isinstance(decoding, ReplyDecoding)]
        busy = any(not reply.reading for reply in replies)
        budget = (_READ_IN_COMPANY if busy else _READ_ALONE)[self._device]
        tokens: list[int] = []
        positions: list[int] = []
        parts: list[BatchSlice] = []
        taking_part: list[ReplyDecoding] = []
        for reply in replies:
            unread = reply.unread(budget)
            if reply.reading:
                budget -= len(unread)
            if unread:
                parts.append(BatchSlice(reply.cache, len(tokens), len(tokens) + len(unread)))
                positions += range(reply.cache.length, reply.cache.length + len(unread))
                tokens += unread
                taking_part.append(reply)
        logits = self._forward(tokens, positions, parts)
        for index, (reply, part) in enumerate(zip(taking_part, parts, strict=True)):
            reply.cache.advance(part.end - part.start)
            if not reply.reading:
                reply.write(logits[index : index + 1])

    def is_out_of_memory(self, error: Exception) -> bool:
        """True for the errors of Python, of CUDA, and of torch's CPU allocator, which has no class of its own."""
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

    def free_memory(self) -> None:
        """Collect unused caches, and return their memory to the device."""
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _read_before(self, owner: UserId | None, prompt: Sequence[int], *, limit: int) -> RowCache | None:
        """Return a cache with the longest beginning of the prompt that was read before; None without one.

        It is of this owner, or what the chat template writes at the beginning of every conversation, which is not
        secret. The last token is always read again, because its logits are needed.
        """
        known = prompt[:-1]
        length, cache = self.prefixes.longest(owner, known)
        shared = common_length(self._beginning, known)
        if shared > length and self._beginning_cache.reaches(shared):
            length, cache = shared, self._beginning_cache
        if cache is None:
            return None
        if length < cache.length or cache.forgets or cache is self._beginning_cache:
            return cache.fork(length, limit=limit)
        # Nothing is copied. A cache that forgets is copied, because a change of the last message goes back to it.
        self.prefixes.remove(cache)
        return cache.resume(limit=limit)

    def read_beginning(self) -> None:
        """Read what the chat template writes at the beginning of every conversation, once for all owners."""
        one, other = (self.encode((Turn(Role.USER, text),)) for text in ("Hi", "And"))
        tokens = one[: common_length(one, other)]
        cache = RowCache(layers=self._layers, limit=len(tokens))
        self._read(tokens, cache)
        self._beginning, self._beginning_cache = tokens, cache
        self._closing = closing_tokens(self.encode)

    @torch.inference_mode()
    def _read(self, tokens: Sequence[int], cache: RowCache) -> None:
        """Read those of the tokens that the cache does not hold yet."""
        while unread := tokens[cache.length : cache.length + _READ_ALONE[self._device]]:
            end = cache.length + len(unread)
            self._forward(unread, range(cache.length, end), [BatchSlice(cache, 0, len(unread))])
            cache.advance(len(unread))

    def _forward(self, tokens: Sequence[int], positions: Sequence[int], parts: Sequence[BatchSlice]) -> torch.Tensor:
        """Return the logits (replies by vocabulary) after the last token of each part."""
        output = self._model(
            input_ids=torch.tensor([tokens], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            use_cache=False,
            logits_to_keep=torch.tensor([part.end - 1 for part in parts], device=self._device),
            parts=parts,
        )
        if any(part.cache.layers_in_use < self._layers for part in parts):
            raise NotLoadable(Description("model_layers_unsupported"))
        return cast("torch.Tensor", output.logits[0])

    def _decode(self, tokens: Sequence[int]) -> str:
        return cast("str", self._detokenizer.decode(list(tokens), skip_special_tokens=True))
