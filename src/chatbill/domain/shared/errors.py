"""Every error that chatbill raises on purpose, as one tree.

    ChatbillError
    ├── InvalidRequest              invalid_request       the input breaks a rule; names each field and its rule
    │   └── TooLarge                too_large             the input is over a size limit
    ├── Unauthenticated             unauthenticated       no usable credentials came with the request
    │   ├── InvalidCredentials      invalid_credentials   name or password are wrong; does not say which
    │   └── TokenExpired            token_expired         the token was valid once
    ├── Forbidden                   forbidden             the account is known, but not allowed to do this
    ├── NotFound                    not_found             absent, or owned by another account
    ├── Conflict                    conflict              the request contradicts the present state
    │   ├── UsernameTaken           username_taken
    │   ├── EmailTaken              email_taken
    │   └── RequestInProgress       request_in_progress   the first request with this key still runs
    ├── IdempotencyMismatch         idempotency_mismatch  the key came before with another request
    ├── InsufficientCredits         insufficient_credits  carries `required` and `available`
    │   └── CapReached              cap_reached           the API key may not spend this much this month; carries `cap`
    ├── RateLimited                 rate_limited          carries `retry_after_s`
    ├── ModelUnavailable            model_unavailable     the model cannot answer now; carries `reason`
    ├── Overloaded                  overloaded            all places are taken; carries `retry_after_s`
    ├── GenerationFailed            generation_failed     the engine failed before the reply was complete
    │   └── OutOfMemory             generation_failed     the engine had too little memory for this reply
    ├── GenerationTimeout           generation_timeout    the deadline passed before the reply was complete
    ├── Interrupted                 interrupted           the service stopped before the reply was complete
    ├── RequestInterrupted          request_interrupted   the first request with this key was interrupted
    └── InvariantViolation          internal_error        a rule of the ledger would be broken: a bug
        └── AlreadySettled          internal_error        not a bug: another caller has settled this request first

`code` is a stable word that clients compare. `description` is what a person is told: a finer code with its parameters,
which the entry points render as a sentence. `str(error)` is a short text for logs.
No error knows of HTTP: the entry points map codes to the status of their channel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, Self

from chatbill.domain.shared.descriptions import Description, Param


class ChatbillError(Exception):
    """The base class of every error that chatbill raises on purpose.

    `text` is for operators and logs, such as the message of a database. Errors for people have a `description`.
    `retry_after_s` is a whole number of seconds, at least 1, after which the same request may succeed; None if unknown.
    """

    code: ClassVar[str] = "internal_error"
    retry_after_s: int | None = None

    def __init__(self, text: str = "", *, description: Description | None = None) -> None:
        self.description = description or (Description.of("text", text=text) if text else Description(self.code))
        super().__init__(text or str(self.description))


class ReasonedError(ChatbillError):
    """An error with a `reason` for people: a code, a whole description, or by default the code of the class."""

    def __init__(self, reason: str | Description = "", /, **params: Param) -> None:
        described = reason if isinstance(reason, Description) else Description(reason or self.code, params)
        super().__init__(description=described)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One rule that one input field breaks."""

    field: str
    description: Description


class InvalidRequest(ChatbillError):
    """The input breaks a rule. `errors` names each field and the rule.

    Its description has one parameter, `errors`: a JSON array of pairs of a field and the form of its rule that
    `Description.dumps` writes.
    """

    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors
        super().__init__(
            "; ".join(f"{error.field}: {error.description}" for error in errors),
            description=Description.of(
                self.code, errors=json.dumps([(error.field, error.description.dumps()) for error in errors])
            ),
        )

    @classmethod
    def of(cls, field: str, code: str, /, **params: Param) -> Self:
        """Return the error for one field that breaks the rule of this code."""
        return cls(FieldError(field, Description(code, params)))


class TooLarge(InvalidRequest):
    """The input is over a size limit."""

    code = "too_large"


class ContextLengthExceeded(ReasonedError):
    """What was sent does not fit into the model's window of `limit` tokens, and nothing of it may be left out.

    `whole` is True where that is the whole conversation, and False where it is the last message. `tokens`, where they
    were counted, is how many it has at least, and `reply` how many of the window are for the reply. `reply` alone means
    that the reply is to be longer than the window.
    """

    code = "context_length_exceeded"

    def __init__(self, *, limit: int, whole: bool, tokens: int | None = None, reply: int | None = None) -> None:
        counted = {"tokens": tokens, "reply": reply}
        super().__init__(
            limit=limit, whole=whole, **{name: count for name, count in counted.items() if count is not None}
        )


class Unauthenticated(ReasonedError):
    """No usable credentials came with the request."""

    code = "unauthenticated"


class InvalidCredentials(Unauthenticated):
    """The name or the password is wrong; does not say which."""

    code = "invalid_credentials"


class TokenExpired(Unauthenticated):
    """The token was valid once; it must be refreshed, or its owner signs in again."""

    code = "token_expired"


class Forbidden(ReasonedError):
    """The account is known, but not allowed to do this."""

    code = "forbidden"


class NotFound(ReasonedError):
    """Something does not exist, or belongs to another account. A client cannot tell which.

    `what` is the code of a noun, such as `conversation`; `name` is the name that was looked for, if that helps.
    """

    code = "not_found"

    def __init__(self, what: str = "nothing", name: str | None = None) -> None:
        super().__init__(Description("not_found", {"what": what} if name is None else {"what": what, "name": name}))


class Conflict(ReasonedError):
    """The request contradicts the present state."""

    code = "conflict"


class UsernameTaken(Conflict):
    """Another account has this username (letter case does not count)."""

    code = "username_taken"


class EmailTaken(Conflict):
    """Another account has this e-mail address (letter case does not count)."""

    code = "email_taken"


class RequestInProgress(Conflict):
    """The first request with this idempotency key has not finished."""

    code = "request_in_progress"


class IdempotencyMismatch(ReasonedError):
    """The idempotency key was used before, for a different request."""

    code = "idempotency_mismatch"


class InsufficientCredits(ReasonedError):
    """The wallet has too few credits for a request.

    `required` is the most the request can cost, `available` what the wallet can spend now; both in credits.
    """

    code = "insufficient_credits"

    def __init__(self, *, required: int, available: int, **params: Param) -> None:
        self.required = required
        self.available = available
        super().__init__(required=required, available=available, **params)


class CapReached(InsufficientCredits):
    """The API key may not spend this much in this month.

    `available` is what it can still spend, `cap` what it may spend in a whole month; both in credits.
    """

    code = "cap_reached"

    def __init__(self, *, required: int, available: int, cap: int) -> None:
        super().__init__(required=required, available=available, cap=cap)
        self.cap = cap


class RateLimited(ReasonedError):
    """Too many requests, for the `reason` given; `retry_after_s` is a whole number of seconds, at least 1."""

    code = "rate_limited"
    retry_after_s: int

    def __init__(self, reason: str = "", /, *, retry_after_s: int, **params: Param) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(reason, retry_after_s=self.retry_after_s, **params)


class ModelUnavailable(ChatbillError):
    """The model cannot answer now, for the `reason` given."""

    code = "model_unavailable"

    def __init__(self, model: str, reason: Description, *, retry_after_s: int | None = None) -> None:
        self.model = model
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(
            f"{model} is not available: {reason}",
            description=Description.of(self.code, model=model, reason=reason.dumps()),
        )


class Overloaded(ReasonedError):
    """All places are taken, by default those of the model; nothing was held. `retry_after_s` is at least 1."""

    code = "overloaded"
    retry_after_s: int

    def __init__(self, reason: str = "", /, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(reason, retry_after_s=self.retry_after_s)


class GenerationFailed(ReasonedError):
    """The engine failed before the reply was complete."""

    code = "generation_failed"


class OutOfMemory(GenerationFailed):
    """The engine had too little memory for this reply."""

    def __init__(self) -> None:
        super().__init__("out_of_memory")


class ContentFiltered(ReasonedError):
    """A content filter of the model's server ended the reply; what was delivered is charged and kept."""

    code = "content_filter"


class GenerationTimeout(ReasonedError):
    """Raised when the deadline passed before `what` came: the `reply`, or its `first_word`. `after_s` is in seconds."""

    code = "generation_timeout"

    def __init__(self, *, after_s: float, what: str = "reply") -> None:
        self.after_s = after_s
        super().__init__(what=what, after_s=after_s)


class Interrupted(ReasonedError):
    """The service stopped, or lost this reply, before it was complete."""

    code = "interrupted"


class RequestInterrupted(ReasonedError):
    """The first request with this idempotency key was interrupted: only a new key makes a new attempt."""

    code = "request_interrupted"


class InvariantViolation(ChatbillError):
    """A rule of the ledger would be broken. This is a bug in the caller, except for `AlreadySettled`."""


class AlreadySettled(InvariantViolation):
    """Another caller has settled this request. If a reply, a stop and a sweep end it together, only one settles it."""
