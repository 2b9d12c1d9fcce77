"""Messages to models, and the rules that are checked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatbill.domain.chat.conversations import Turn, checked_history, checked_message, checked_text
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import FieldError, InvalidRequest
from chatbill.domain.shared.idempotency import checked_key, fingerprint_of
from chatbill.domain.shared.ids import ConversationId, InteractionId

MAX_TEMPERATURE = 2
MAX_STOPS = 4
MAX_STOP_CHARS = 256
SEEDS = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before a message, oldest first, without `unread_turns` still older ones.

    `parent_id` is the interaction that the message follows; None where it begins a conversation, or begins it anew.
    """

    turns: Sequence[Turn]
    unread_turns: int = 0
    parent_id: InteractionId | None = None


NOTHING_SAID = Said(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a model.

    `max_tokens` bounds the reply and is itself bounded by the model's. `temperature` is 0 to 2, None for the model's
    own. `top_p` (over 0, to 1) keeps to the likeliest tokens that reach that probability together; the same `seed`
    chooses the same where the model's numbers are the same, which in 16 bits and less they are for a reply alone, not
    in any company. The reply ends before any of the `stop` strings, which are at most 4 of 1 to 256 characters.

    With a `parent_id`, it follows that interaction of the conversation, and not the newest one; with the id of the
    conversation itself it begins the conversation anew.

    With an `idempotency_key`, sending the same message again gives the first answer and costs nothing more.

    `history` is what was said before, where the sender keeps that: then nothing is read back, and the message stands in
    a conversation of its own that is not listed. It excludes a `conversation_id`. Its turns need not alternate: the
    model reads neighbours of one role as one.

    Neither the text of a `temporary` message nor its reply is stored, and it excludes a `conversation_id` as well: only
    the figures stay. A page that talks on sends what was said before as its `history`.

    Where the conversation does not fit into the model's window, its oldest turns are left out; without `trim` it is
    refused, and a reply whose `max_tokens` are not given may be as short as the window demands.
    """

    model: str
    text: str
    conversation_id: ConversationId | None = None
    parent_id: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    history: tuple[Turn, ...] | None = None
    trim: bool = True
    temporary: bool = False
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return a digest that is the same for messages that are the same request.

        What is not given is left out, so that keys of messages from before a field was known still match. Of a
        temporary message, not even a digest of its texts is kept.
        """
        if self.temporary:
            return fingerprint_of("send_message", model=self.model, temporary=True)
        history = None if self.history is None else [(turn.role.value, turn.text) for turn in self.history]
        given = {
            "parent_id": self.parent_id,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": list(self.stop) or None,
            "history": history,
        }
        return fingerprint_of(
            "send_message",
            model=self.model,
            text=self.text,
            conversation_id=self.conversation_id,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            **{name: value for name, value in given.items() if value is not None},
        )

    @property
    def likely_tokens(self) -> int:
        """Return about how many tokens it has with its history: one for four bytes, as in English."""
        texts = [self.text, *(turn.text for turn in self.history or ())]
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // 4

    def check(self, *, max_chars: int, max_reply_tokens: int) -> None:
        """Raise `InvalidRequest` or `TooLarge` for a message that breaks a rule."""
        checked_message(self.text, max_chars=max_chars)
        checked_key(self.idempotency_key)
        self._check_place(max_chars=max_chars, max_reply_tokens=max_reply_tokens)
        errors = []
        if self.max_tokens is not None and self.max_tokens < 1:
            errors.append(FieldError("max_tokens", Description.of("too_small", min=1)))
        if self.temperature is not None and not 0 <= self.temperature <= MAX_TEMPERATURE:
            errors.append(FieldError("temperature", Description.of("out_of_range", min=0, max=MAX_TEMPERATURE)))
        if self.top_p is not None and not 0 < self.top_p <= 1:
            errors.append(FieldError("top_p", Description.of("probability_out_of_range")))
        if self.seed is not None and self.seed not in SEEDS:
            errors.append(FieldError("seed", Description.of("not_64_bits")))
        if len(self.stop) > MAX_STOPS or not all(0 < len(stop) <= MAX_STOP_CHARS for stop in self.stop):
            rule = Description.of("stop_strings_out_of_range", max_count=MAX_STOPS, max_length=MAX_STOP_CHARS)
            errors.append(FieldError("stop", rule))
        if errors:
            raise InvalidRequest(*errors)
        for stop in self.stop:
            checked_text("stop", stop, max_chars=MAX_STOP_CHARS)

    def _check_place(self, *, max_chars: int, max_reply_tokens: int) -> None:
        """Raise `InvalidRequest` or `TooLarge` for an invalid history, and for a place in no conversation."""
        if self.history is not None:
            checked_history(self.history, max_chars=max_chars, max_reply_tokens=max_reply_tokens)
        if (self.history is not None or self.temporary) and self.conversation_id is not None:
            raise InvalidRequest.of("history", "history_with_conversation")
        if self.parent_id is not None and self.conversation_id is None:
            raise InvalidRequest.of("parent_id", "parent_without_conversation")
