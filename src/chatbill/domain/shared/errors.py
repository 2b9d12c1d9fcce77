"""Everything that can go wrong in chatbill, as one tree.

    ChatbillError
    ├── InvalidRequest              invalid_request       the input breaks a rule; says which field and why
    │   └── TooLarge                too_large             the input is over a size limit
    ├── Unauthenticated             unauthenticated       no usable credentials came with the request
    │   ├── InvalidCredentials      invalid_credentials   name or password are wrong, which one is not told
    │   └── TokenExpired            token_expired         the token was good once
    ├── Forbidden                   forbidden             known, but not allowed
    ├── NotFound                    not_found             absent, or somebody else's
    ├── Conflict                    conflict              true of something else already
    │   ├── UsernameTaken           username_taken
    │   ├── EmailTaken              email_taken
    │   └── RequestInProgress       request_in_progress   the first request with this key still runs
    ├── IdempotencyMismatch         idempotency_mismatch  the key came before with another request
    ├── InsufficientCredits         insufficient_credits  carries `required` and `available`
    │   └── CapReached              cap_reached           the API key may not spend it this month; carries `cap` too
    ├── RateLimited                 rate_limited          carries `retry_after_s`
    ├── ModelUnavailable            model_unavailable     the model cannot answer now; says why, and maybe when it can
    ├── Overloaded                  overloaded            the queue is full; carries `retry_after_s`
    ├── GenerationFailed            generation_failed     the engine broke before the reply was whole
    │   └── OutOfMemory             generation_failed     the engine had too little memory for this reply
    ├── GenerationTimeout           generation_timeout    the deadline passed before the reply was whole
    ├── Interrupted                 interrupted           the service stopped before the reply was whole
    └── InvariantViolation          internal_error        a rule of the books would be broken: a bug, never an input
        └── AlreadySettled          internal_error        not a bug: somebody else has settled this request first

`code` is a stable word that clients may compare. The text of an error is for people and says what to do.
No error knows of HTTP: delivery adapters map codes to what their channel speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.wording import credits_text


class ChatbillError(Exception):
    """The root: everything chatbill raises on purpose.

    `retry_after_s` is a whole number of seconds, at least 1, after which the same may well work; None where nobody
    knows.
    """

    code: ClassVar[str] = "internal_error"
    retry_after_s: int | None = None

    @property
    def description(self) -> Description:
        """Return what a person is told."""
        return Description.of("text", text=str(self))


@dataclass(frozen=True, slots=True)
class FieldError:
    """One rule that one input field breaks."""

    field: str
    message: str


class InvalidRequest(ChatbillError):
    """The input breaks a rule. `errors` names each field and what to change."""

    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))

    @classmethod
    def of(cls, field: str, message: str) -> Self:
        """The common case: one field, one rule."""
        return cls(FieldError(field, message))


class TooLarge(InvalidRequest):
    """The input is over a size limit."""

    code = "too_large"


class Unauthenticated(ChatbillError):
    """No usable credentials came with the request."""

    code = "unauthenticated"

    def __init__(self, detail: str = "Sign in first and send the access token, or send an API key.") -> None:
        super().__init__(detail)


class InvalidCredentials(Unauthenticated):
    """Name or password are wrong; deliberately silent about which."""

    code = "invalid_credentials"

    def __init__(self, detail: str = "The name or the password is not right.") -> None:
        super().__init__(detail)


class TokenExpired(Unauthenticated):
    """The token was good once; refresh it or sign in again."""

    code = "token_expired"

    def __init__(self, detail: str = "The token has expired. Refresh it or sign in again.") -> None:
        super().__init__(detail)


class Forbidden(ChatbillError):
    """The person is known, but this is not theirs to do."""

    code = "forbidden"

    def __init__(self, detail: str = "Your account may not do this.") -> None:
        super().__init__(detail)


class NotFound(ChatbillError):
    """Absent, or somebody else's: the two look the same from outside."""

    code = "not_found"

    def __init__(self, what: str = "Nothing") -> None:
        super().__init__(f"{what} was not found here.")


class Conflict(ChatbillError):
    """The request contradicts what is already so."""

    code = "conflict"


class UsernameTaken(Conflict):
    """Another account has this username (letter case does not count)."""

    code = "username_taken"

    def __init__(self) -> None:
        super().__init__("This username is taken. Choose another one.")


class EmailTaken(Conflict):
    """Another account has this e-mail address (letter case does not count)."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("This e-mail address already has an account. Sign in instead.")


class RequestInProgress(Conflict):
    """The first request with this idempotency key has not finished."""

    code = "request_in_progress"

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still running. Try again shortly.")


class IdempotencyMismatch(ChatbillError):
    """The idempotency key was used before, for a different request."""

    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came before with another request. Use a new key.")


class InsufficientCredits(ChatbillError):
    """The wallet cannot promise what is asked.

    `required` is the most the request can cost, `available` what the wallet can spend now; both in credits.
    """

    code = "insufficient_credits"

    def __init__(self, *, required: int, available: int) -> None:
        self.required = required
        self.available = available
        super().__init__(
            f"This needs up to {credits_text(required)} and you have {available:,}. Add credits and try again."
        )


class CapReached(InsufficientCredits):
    """The API key may not spend this much in this month.

    `available` is what it can still spend, `cap` what it may in a whole month; both in credits.
    """

    code = "cap_reached"

    def __init__(self, *, required: int, available: int, cap: int) -> None:
        super().__init__(required=required, available=available)
        self.cap = cap

    def __str__(self) -> str:
        return (
            f"This needs up to {credits_text(self.required)} and this API key can spend {self.available:,} more of its "
            f"{self.cap:,} before the month (UTC) ends. Use another key, or wait."
        )


class RateLimited(ChatbillError):
    """Too many requests; `retry_after_s` is a whole number of seconds, at least 1."""

    code = "rate_limited"
    retry_after_s: int

    def __init__(self, *, retry_after_s: int, why: str = "Too many requests.") -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(f"{why} Try again in {self.retry_after_s} s.")


class ModelUnavailable(ChatbillError):
    """The model cannot answer now, for the `reason` given."""

    code = "model_unavailable"

    def __init__(self, model: str, reason: Description, *, retry_after_s: int | None = None) -> None:
        self.model = model
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(f"{model} is not available: {reason}")

    @property
    def description(self) -> Description:
        """Return what a person is told, with the reason in the form that `Description.dumps` writes."""
        return Description.of(self.code, model=self.model, reason=self.reason.dumps())


class Overloaded(ChatbillError):
    """The queue of the model is full; nothing was held. `retry_after_s` is at least 1."""

    code = "overloaded"
    retry_after_s: int

    def __init__(self, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(f"All places are taken. Try again in {self.retry_after_s} s; nothing was charged.")


class GenerationFailed(ChatbillError):
    """The engine broke before the reply was whole."""

    code = "generation_failed"

    def __init__(self, detail: str = "The model could not finish this reply; nothing was charged. Try again.") -> None:
        super().__init__(detail)


class OutOfMemory(GenerationFailed):
    """The engine had too little memory for this reply."""

    def __init__(
        self, detail: str = "The model ran out of memory; nothing was charged. Try a shorter message."
    ) -> None:
        super().__init__(detail)


class GenerationTimeout(ChatbillError):
    """The deadline passed before the reply was whole, or before `what` else was awaited. `after_s` in seconds."""

    code = "generation_timeout"

    def __init__(self, *, after_s: float, what: str = "whole reply") -> None:
        self.after_s = after_s
        super().__init__(f"No {what} within {after_s:g} s; nothing was charged. Try again or ask for less.")


class Interrupted(ChatbillError):
    """The service stopped, or lost this reply, before it was whole."""

    code = "interrupted"

    def __init__(self, detail: str = "The service stopped before the reply was whole; nothing was charged.") -> None:
        super().__init__(detail)


class InvariantViolation(ChatbillError):
    """A rule of the books would be broken. Always a bug in the caller, never a person's input."""


class AlreadySettled(InvariantViolation):
    """The request has ended: of a reply, a stop and a sweep that come at the same moment, one settles it."""
