"""Interactions: the record of each request to a model, from its acceptance to its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import INTERACTION, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, ConversationId, HoldId, InteractionId, ModelId, UserId, WalletId

REPLY_LOST = Description("reply_lost")
"""The description of a failed reply for which no cause is recorded."""
TRIMMED = "context_trimmed"
"""The code of the description of a reply to a conversation whose oldest turns were left out."""
DROPPED_TURNS = "dropped_turns"
"""The parameter of a description that says how many they were."""


class Outcome(StrEnum):
    """The result of a request; `RUNNING` until it ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One request to a model: its prompt, reply, cost and outcome.

    `price` is frozen when the request is accepted, and `held` is the most it can cost, in credits.
    `processing_time_ms` runs from acceptance to the end, and `first_token_ms` to the first token, if there was one and
    its time was recorded. `error_code` is the stable code of the error that ended it,
    `error_detail` describes it for the person. `balance_after` is what the wallet owned once the request was settled.
    `error_detail` of a reply without an error says how much of the conversation the model could not read.
    `api_key_id` is the API key it came with, if it came with one.
    `cached` is True when the reply was written before and only given again.
    `parent_id` is the interaction that it follows; see `branches`.
    The texts of a `temporary` one are never stored: it has no prompt, and only its writer ever has its reply.
    """

    id: InteractionId
    conversation_id: ConversationId
    user_id: UserId
    wallet_id: WalletId
    hold_id: HoldId
    model: ModelId
    price: Price
    held: int
    prompt: str
    created_at: datetime
    reply: str = ""
    outcome: Outcome = Outcome.RUNNING
    usage: Usage = Usage()
    credits_charged: int = 0
    balance_after: int | None = None
    processing_time_ms: int | None = None
    first_token_ms: int | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    error_detail: Description | None = None
    api_key_id: ApiKeyId | None = None
    cached: bool = False
    parent_id: InteractionId | None = None
    temporary: bool = False

    @property
    def is_running(self) -> bool:
        """Return True until an outcome is recorded."""
        return self.outcome is Outcome.RUNNING

    def text_bytes(self) -> int:
        """Return the size of its prompt and its reply in UTF-8, in bytes."""
        return text_bytes(self.prompt) + text_bytes(self.reply)

    @property
    def dropped_turns(self) -> int:
        """Return how many of the oldest turns were left out, because they did not fit into the model's window."""
        return int((self.error_detail and self.error_detail.params.get(DROPPED_TURNS)) or 0)

    @property
    def subject(self) -> Subject:
        """Return the subject of its hold and its entries."""
        return Subject(INTERACTION, self.id)

    @property
    def purpose(self) -> Description:
        """Return the description of its hold and its charge."""
        return Description.of("reply", model=self.model)

    def ended(  # noqa: PLR0913 - one for each figure
        self,
        outcome: Outcome,
        *,
        at: datetime,
        reply: str,
        usage: Usage,
        credits_charged: int,
        balance_after: int,
        error_code: str | None = None,
        error_detail: Description | None = None,
        first_token_ms: int | None = None,
    ) -> Interaction:
        """Return the interaction with its end, which it has once."""
        if not self.is_running or outcome is Outcome.RUNNING:
            raise InvariantViolation(f"interaction {self.id} cannot go from {self.outcome} to {outcome}")
        return replace(
            self,
            outcome=outcome,
            reply=storable(reply),
            usage=usage,
            credits_charged=credits_charged,
            balance_after=balance_after,
            finished_at=at,
            processing_time_ms=max(0, round((at - self.created_at).total_seconds() * 1_000)),
            error_code=error_code,
            error_detail=error_detail,
            first_token_ms=first_token_ms,
        )


def due_for(price: Price, outcome: Outcome, usage: Usage) -> int:
    """Return the credits due for a request that ended so: its price, or 0 where nothing may be charged.

    A completed reply is charged; so is a stopped one, for the tokens delivered, once there was a first token.
    Every other end is free, even after some tokens were delivered.
    """
    if outcome is Outcome.COMPLETED or (outcome is Outcome.STOPPED and usage.completion_tokens > 0):
        return price.of(usage)
    return 0


def text_bytes(text: str) -> int:
    """Return the size of a text in UTF-8, in bytes. Lone surrogates are counted as well."""
    return len(text.encode("utf-8", "surrogatepass"))


def storable(text: str) -> str:
    """Return the text with NUL and lone surrogates, which databases refuse and engines can write, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
