"""Send a message: hold its price, let the model answer, settle once. Nothing else starts or charges a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chatbill.application.accounts.spending_caps import Payer
from chatbill.application.chat.acceptance import accept
from chatbill.application.chat.checked_generation import CheckedGeneration
from chatbill.application.chat.drafts import Drafts, said_before
from chatbill.application.chat.messages import Message, Said
from chatbill.application.chat.pace import PacedGeneration
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply, StopReason
from chatbill.application.chat.running_replies import Replies
from chatbill.application.chat.settlement import Ending, PendingInteraction, settle
from chatbill.application.chat.unpaid_replies import UnpaidReplies
from chatbill.application.chat.unpaid_texts import UnpaidText, UnpaidTexts, is_unpaid
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.engine import Engine, Generation, GenerationRequest
from chatbill.application.ports.rate_limits import RateLimits
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable
from chatbill.application.shared.lease import Lease
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.catalogue import Model
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import (
    InsufficientCredits,
    InvariantViolation,
    RequestInProgress,
)
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import ConversationId, EntryId, HoldId, InteractionId, UserId

SETTLE_ATTEMPTS = 8
"""With pauses of a tenth of a second, then twice as long each time, this outlasts a restart of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Accept a message, let the model answer it, and charge for the reply.

    Iterate over what is returned for the events: `Accepted`, each `Delta`, and one end. Errors before the message is
    accepted are raised: `InvalidRequest`, `TooLarge`, `ContextLengthExceeded`, `NotFound`, `RateLimited`,
    `ModelUnavailable`, `Overloaded`, `InsufficientCredits`, `RequestInProgress`, `IdempotencyMismatch`. A later error
    is the last event.
    A reply that the store does not take is tried `settle_attempts` times; after that the sweep releases its hold.
    A reply out of the engine's cache costs `cached_price_percent` of the model's price.
    """

    store: Store
    engine: Engine
    drafts: Drafts
    replies: Replies
    rate_limits: RateLimits
    lease: Lease
    clock: Clock
    new_id: NewId
    unpaid: UnpaidReplies
    unpaid_texts: UnpaidTexts
    settle_attempts: int = SETTLE_ATTEMPTS
    cached_price_percent: int = 100
    keys_being_accepted: set[tuple[UserId, str | None]] = field(default_factory=set)

    async def __call__(self, principal: Principal, message: Message) -> Reply | Replay:
        """Accept the message; the reply is being written when this returns."""
        model = self.drafts.check(message)
        with self._first(principal.user_id, message.idempotency_key):
            return await self._begun(principal, message, model)

    @contextmanager
    def _first(self, user_id: UserId, key: str | None) -> Iterator[None]:
        """Refuse a request whose key is being accepted in this process, before any limit counts the repetition."""
        if key is not None and (user_id, key) in self.keys_being_accepted:
            raise RequestInProgress
        self.keys_being_accepted.add((user_id, key))
        try:
            yield
        finally:
            self.keys_being_accepted.discard((user_id, key))

    async def _begun(self, principal: Principal, message: Message, model: Model) -> Reply | Replay:
        said: Said | IdempotencyRecord = Said(message.history or ())
        if message.conversation_id or message.idempotency_key:
            said = await self.store.read(lambda snapshot: self._said(snapshot, principal, message))
        if isinstance(said, IdempotencyRecord):
            return await self._replay(said, message)
        await self.rate_limits.hit(self.drafts.bounds.rate, principal.user_id)
        await self.unpaid.check(principal.user_id)
        beginning = asyncio.ensure_future(self._begin(principal, message, model, said))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # The hold may be made all the same, and then it must be released.
            beginning.add_done_callback(_stop_orphaned)
            raise

    async def _begin(self, principal: Principal, message: Message, model: Model, said: Said) -> Reply | Replay:
        """Take a place in the queue, hold the price, and let the reply be written."""
        with self.replies.beginning(model.id, principal.user_id):
            text = await self.unpaid_texts.begin(principal.user_id, message.text)
            try:
                return await self._accepted(principal, message, model, said, text)
            except BaseException as error:
                # Of what is refused, only a refusal for too few credits is stored, with its key.
                has_row = isinstance(error, InsufficientCredits) and message.idempotency_key is not None
                await text.end(is_unpaid=has_row)
                raise

    async def _accepted(
        self, principal: Principal, message: Message, model: Model, said: Said, text: UnpaidText
    ) -> Reply | Replay:
        request = self.drafts.request(principal, model, message, said.turns)
        checked = CheckedGeneration(await self.engine.prepare(request), request, engine=self.engine.name)
        generation = PacedGeneration(checked, self.drafts.paces[model.id], deadline_s=self.drafts.bounds.deadline_s)
        try:
            interaction = self._interaction(principal, message, model, generation, request)
            if message.parent_id is not None:
                interaction = replace(interaction, parent_id=said.parent_id or interaction.id)
            accepted = await self._accept(Payer.of(principal), interaction, message)
        except BaseException:
            await generation.close()
            raise
        if isinstance(accepted, IdempotencyRecord):
            await generation.close()
            await text.end(is_unpaid=False)
            return await self._replay(accepted, message)
        return self._start(accepted, generation, message, text, said)

    def _said(self, snapshot: Snapshot, principal: Principal, message: Message) -> Said | IdempotencyRecord:
        """Return the earlier turns of the conversation, or the first request with this key, if any."""
        key = message.idempotency_key
        if key and (record := snapshot.idempotency.get(principal.user_id, key)):
            return record
        return said_before(snapshot, principal, message)

    def _interaction(
        self, principal: Principal, message: Message, model: Model, generation: Generation, request: GenerationRequest
    ) -> Interaction:
        """Return the record of the request, with its frozen price and the most it can cost."""
        most = Usage(prompt_tokens=generation.prompt_tokens, completion_tokens=request.max_tokens)
        price = model.price.percent(self.cached_price_percent) if generation.cached else model.price
        return Interaction(
            id=InteractionId(self.new_id()),
            conversation_id=message.conversation_id or ConversationId(self.new_id()),
            user_id=principal.user_id,
            wallet_id=principal.wallet_id,
            hold_id=HoldId(self.new_id()),
            model=model.id,
            price=price,
            held=price.of(most),
            prompt="" if message.temporary else request.turns[-1].text,
            created_at=self.clock(),
            api_key_id=principal.api_key_id,
            cached=generation.cached,
            temporary=message.temporary,
        )

    async def _accept(
        self, payer: Payer, interaction: Interaction, message: Message
    ) -> PendingInteraction | IdempotencyRecord:
        """Hold and record, or find that this key came first with another request."""
        lifetime = timedelta(seconds=self.drafts.bounds.deadline_s + self.drafts.bounds.grace_s)
        result = await self.store.write(
            lambda tx: accept(
                tx,
                interaction,
                payer,
                message,
                expires_at=interaction.created_at + lifetime,
                instance_id=self.lease.instance_id,
            )
        )
        if isinstance(result, InsufficientCredits):
            raise result
        return result

    def _start(
        self,
        work: PendingInteraction,
        generation: PacedGeneration,
        message: Message,
        text: UnpaidText,
        said: Said,
    ) -> Reply:
        async def settle_once(ending: Ending) -> Interaction:
            interaction = None
            try:
                interaction = await self._settle(work, ending)
            finally:
                await text.end(is_unpaid=interaction is None or is_unpaid(interaction))
            await self.unpaid.record(interaction, ending, tokens_written=generation.tokens_written)
            return interaction

        reply = Reply(
            work.interaction,
            generation,
            deadline_s=self.drafts.bounds.deadline_s,
            first_token_s=self.drafts.bounds.first_token_s,
            settle=settle_once,
            # A stop string can be the first that the model writes.
            may_be_empty=bool(message.stop),
            window=self.drafts.catalogue[work.interaction.model].context_tokens,
            said=said,
        )
        self.replies.add(reply)
        return reply

    async def _settle(self, work: PendingInteraction, ending: Ending) -> Interaction:
        """Settle, and try again when the store fails: a later attempt finds what an earlier one recorded."""
        now, entry_id = self.clock(), EntryId(self.new_id())
        attempt = 1
        while True:
            try:
                return await settle(self.store, work, ending, at=now, entry_id=entry_id)
            except StoreUnavailable:
                if attempt == self.settle_attempts:
                    raise
            await asyncio.sleep(0.05 * 2**attempt)
            attempt += 1

    async def _replay(self, record: IdempotencyRecord, message: Message) -> Replay:
        record.check(message.fingerprint)
        if record.refusal:
            raise record.refusal.error()
        interaction_id = InteractionId(record.subject_id or "")
        interaction, parent_id = await self.store.read(lambda snapshot: _with_parent(snapshot, interaction_id))
        if interaction is None or interaction.user_id != record.user_id:
            raise InvariantViolation(f"idempotency record {record.key!r} names no interaction of its user")
        if interaction.is_running:
            raise RequestInProgress
        model = self.drafts.catalogue.get(interaction.model)
        return Replay(interaction, model.context_tokens if model else None, parent_id)


def _with_parent(snapshot: Snapshot, interaction_id: InteractionId) -> tuple[Interaction | None, InteractionId | None]:
    """Return an interaction and the one that it follows."""
    interaction = snapshot.interactions.get(interaction_id)
    if interaction is None or interaction.parent_id == interaction.id:
        return interaction, None
    place = Position(interaction.created_at, interaction.id)
    return interaction, interaction.parent_id or snapshot.interactions.before(interaction.conversation_id, place)


def _stop_orphaned(beginning: asyncio.Future[Reply | Replay]) -> None:
    """Stop a reply whose client disconnected before it began."""
    if not beginning.cancelled() and beginning.exception() is None and isinstance(reply := beginning.result(), Reply):
        reply.stop(StopReason.LOST_CONNECTION)
