"""The decoding of one reply: how far its prompt is read, what is written, and its chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.transformers.cache import RowCache
from chatbill.adapters.inference.transformers.detokenizer import Detokenizer
from chatbill.adapters.inference.transformers.sampling import Sampler
from chatbill.application.ports.engine import Chunk
from chatbill.domain.shared.ids import UserId


class ReplyDecoding:
    """A reply of at most `max_tokens` to a prompt of at least one token; a `Decoding` for `TransformersModel`.

    `cache` holds what the model has read of it, and that is kept for its `owner` afterwards. `complete` is True once
    it has ended, unless by a stop string, which is not part of the conversation.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        sampler: Sampler,
        decode: Callable[[Sequence[int]], str],
        stop: tuple[str, ...],
        end_tokens: frozenset[int],
        cache: RowCache,
        owner: UserId | None = None,
    ) -> None:
        self.cache = cache
        self.owner = owner
        self.ended = self.cut_off = self.complete = False
        self.error: Exception | None = None
        self.model_works = True
        self.tokens = 0
        self._prompt = prompt
        self._written = torch.empty((1, max_tokens), dtype=torch.long, device=sampler.device)
        self._last = 0
        self._sampler = sampler
        self._text = Detokenizer(decode)
        self._chunks = ChunkBuilder(stop)
        self._end_tokens = end_tokens
        self._new: list[Chunk] = []

    @property
    def reading(self) -> bool:
        """True until the whole prompt is read."""
        return self.cache.length < len(self._prompt)

    @property
    def written(self) -> torch.Tensor:
        """Return the token ids of the reply so far (1 by N), without the one that ends it."""
        return self._written[:, : self.tokens]

    @property
    def conversation(self) -> Sequence[int]:
        """Return the token ids of the prompt and of the reply so far, without the one that ends it."""
        return (*self._prompt, *self.written[0].tolist())

    def unread(self, limit: int) -> Sequence[int]:
        """Return at most `limit` tokens that the model reads next: a part of the prompt, or the last token written."""
        if self.reading:
            return self._prompt[self.cache.length : self.cache.length + limit]
        return (self._last,)

    def write(self, logits: torch.Tensor) -> None:
        """Pick the next token from its logits (1 by vocabulary); an error here is of this reply alone."""
        try:
            self._write(logits)
        except Exception as error:  # noqa: BLE001 - the other replies of the batch go on
            self.error, self.ended = error, True
            self.model_works = _are_finite(logits)

    def take(self) -> Sequence[Chunk]:
        """Return the chunks that were written since the last call, oldest first."""
        new, self._new = self._new, []
        return new

    def _write(self, logits: torch.Tensor) -> None:
        following = self._sampler.pick(self.written, logits)
        self._last = int(following)
        if self._last not in self._end_tokens:
            self._written[:, self.tokens] = following[:, 0]
            self.tokens += 1
            if chunk := self._chunks.push(self._text.push(self._last), incomplete=self._text.incomplete):
                self._new.append(chunk)
            if self.tokens < self._written.shape[1] and not self._chunks.stopped:
                return
            self.cut_off = True
        self.ended = True
        if rest := self._chunks.finish(self._text.flush()):
            self._new.append(rest)
        self.complete = not self._chunks.stopped
        self.cut_off = self.cut_off and self.complete


def _are_finite(logits: torch.Tensor) -> bool:
    try:
        # The maximum suffices: it keeps infinity and NaN, and -inf only rules a token out.
        return bool(torch.isfinite(logits.amax()))
    except RuntimeError:
        return False
