"""Quote a message: say what its reply can cost before it is sent. Nothing is held, written or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatbill.application.chat.drafts import Drafts, said_before
from chatbill.application.chat.messages import Message, Said
from chatbill.application.ports.engine import Engine, GenerationRequest, ModelState
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.catalogue import Model
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import ModelUnavailable, NotFound, Overloaded

REPLIES_LOOKED_AT = 20
"""The expected length of a reply is the mean of the latest ones that this person had from the model."""
USUAL_TOKENS = 200
"""The expected length for a person without replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a reply can cost, in credits, and what the wallet can pay. `expected` is an estimate.

    `prompt_tokens` of the conversation are read, of at most `limit`, without its `dropped_turns` oldest turns.
    `is_counted` is False where the model is not in memory and the tokens are an upper bound.
    """

    held_at_most: int
    expected: int
    available: int
    prompt_tokens: int
    dropped_turns: int
    limit: int
    is_counted: bool


@dataclass(frozen=True, slots=True)
class _Known:
    said: Said
    available: int
    reply_tokens: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """The tokens of a prompt with the turns left out of it, and whether the reply is in the cache."""

    size: tuple[int, int]
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteMessage:
    """Say what the reply to a message can cost. Raises as `SendMessage` does for messages that it would refuse.

    A model that is not in memory, or whose queue is full, is not asked. `RateLimited` after too many quotes.
    """

    store: Store
    engine: Engine
    drafts: Drafts
    rate_limits: RateLimits
    rate: Limit
    cached_price_percent: int = 100

    async def __call__(self, principal: Principal, message: Message) -> Quote:
        """Return the quote."""
        model = self.drafts.check(message)
        await self.rate_limits.hit(self.rate, principal.user_id)
        known = await self.store.read(lambda snapshot: _known(snapshot, principal, message, model))
        request = self.drafts.request(principal, model, message, known.said.turns)
        counted = await self._counted(request)
        prompt_tokens, dropped_turns = counted.size if counted else (_most_tokens(request, model), 0)
        price = model.price.percent(self.cached_price_percent) if counted and counted.cached else model.price
        expected = Usage(prompt_tokens=prompt_tokens, completion_tokens=min(known.reply_tokens, request.max_tokens))
        most = Usage(prompt_tokens=prompt_tokens, completion_tokens=request.max_tokens)
        return Quote(
            held_at_most=price.of(most),
            expected=price.of(expected),
            available=known.available,
            prompt_tokens=prompt_tokens,
            dropped_turns=dropped_turns + known.said.unread_turns,
            limit=model.context_tokens,
            is_counted=counted is not None,
        )

    async def _counted(self, request: GenerationRequest) -> _Counted | None:
        """Return what the model itself says of the prompt; None if it cannot tell now."""
        if self.engine.status()[request.model].state is not ModelState.READY:
            return None
        try:
            generation = await self.engine.prepare(request)
        except (ModelUnavailable, Overloaded):
            return None
        try:
            return _Counted((generation.prompt_tokens, generation.dropped_turns), generation.cached)
        finally:
            await generation.close()


def _known(snapshot: Snapshot, principal: Principal, message: Message, model: Model) -> _Known:
    wallet = snapshot.wallets.get(principal.wallet_id)
    if wallet is None:
        raise NotFound("wallet")
    return _Known(
        said_before(snapshot, principal, message), wallet.available, _usual_tokens(snapshot, principal, model)
    )


def _usual_tokens(snapshot: Snapshot, principal: Principal, model: Model) -> int:
    if not model.price.per_1k_completion_tokens:
        return 0
    latest = snapshot.interactions.history(
        principal.user_id, HistoryFilter(model=model.id), after=None, limit=REPLIES_LOOKED_AT
    )
    lengths: Sequence[int] = [one.usage.completion_tokens for one in latest if one.outcome is Outcome.COMPLETED]
    return round(sum(lengths) / len(lengths)) if lengths else USUAL_TOKENS


def _most_tokens(request: GenerationRequest, model: Model) -> int:
    """Return the most tokens that the prompt can have: one for each byte, and never more than the window."""
    size = sum(len(turn.text.encode("utf-8", "surrogatepass")) for turn in request.turns)
    return min(size, model.context_tokens)
