"""A trial: one token that nobody reads, written through the same queue and batch as any reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chatbill.adapters.inference.transformers.generation import Item
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed
from chatbill.domain.shared.ids import ModelId

PROBE_TURNS = (Turn(Role.USER, "Hi"),)


class Probe:
    """Tells `heard`, on the model's thread, whether the model could write one token."""

    cancelled = False
    is_trial = True
    max_tokens = 1
    cut_off: bool | None = None

    def __init__(
        self, model: ModelId, prompt: Sequence[int], *, heard: Callable[[GenerationFailed | None], None]
    ) -> None:
        self.request = GenerationRequest(model=model, turns=PROBE_TURNS, max_tokens=1, temperature=0.0)
        self.prompt = prompt
        self.tokens_computed = 0
        self._heard = heard

    def deliver(self, item: Item) -> None:
        """The token is of no interest; how it ended is."""
        if not isinstance(item, Chunk):
            self._heard(item)
