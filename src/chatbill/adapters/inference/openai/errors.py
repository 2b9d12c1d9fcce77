"""What can go wrong with a server, in words for the log, and what people may be told of it."""

from __future__ import annotations

import math
from enum import Enum, auto

from chatbill.domain.shared.errors import ChatbillError, GenerationFailed, ModelUnavailable, Overloaded, TooLarge
from chatbill.domain.shared.ids import ModelId


class Kind(Enum):
    """What a trouble means for the model."""

    UNREACHABLE = auto()  # nobody answers: counts against the server
    BROKEN = auto()  # an error of its own, silence, or an answer that makes no sense: counts against the server
    BUSY = auto()  # it works, and refuses more for now
    SET_UP = auto()  # it does not know the model, or wants to be paid: nothing helps until somebody changes something
    REFUSED = auto()  # it does not know us, or does not want this message: a probe, which is harmless, tells which
    TOO_LONG = auto()  # the prompt does not fit into its window
    MISFIT = auto()  # it does not like this one request


_NOT_SET_UP = "it is not set up correctly; the service's operator finds the cause in the log"
_REASONS = {
    Kind.UNREACHABLE: "its server cannot be reached; try again in a moment",
    Kind.BROKEN: "its server is not working properly; try again in a moment",
    Kind.BUSY: "its server takes no more requests for now; try again in a moment",
    Kind.SET_UP: _NOT_SET_UP,
    Kind.REFUSED: _NOT_SET_UP,
    Kind.TOO_LONG: "it does not even take a short message; the service's operator finds the cause in the log",
    Kind.MISFIT: "its server refuses requests; the service's operator finds the cause in the log",
}
_MOMENT_S = 5
"""What "in a moment" is in seconds: by then the model was asked again."""


class ServerError(Exception):
    """One request to a server went wrong. The text is for the log alone, and quotes nothing that the server said.

    `words` do, so they may be logged only where it was sent nothing that a person wrote. `again_s` is not None where
    nothing was computed and another try in so many seconds (0: no wish) may help.
    """

    def __init__(self, kind: Kind, told: str, *, words: str = "", again_s: float | None = None) -> None:
        super().__init__(told)
        self.kind = kind
        self.words = words or told
        self.again_s = again_s

    @property
    def counts(self) -> bool:
        """True where it speaks against the server and not against the request."""
        return self.kind in {Kind.UNREACHABLE, Kind.BROKEN}

    @property
    def is_doubtful(self) -> bool:
        """True where a probe has to tell whether the model works for others."""
        return self.counts or self.kind in {Kind.SET_UP, Kind.REFUSED}

    @property
    def reason(self) -> str:
        """Why a model with this trouble is not available, for people."""
        return _REASONS[self.kind]

    @property
    def retry_after_s(self) -> int | None:
        """When another try may help, in whole seconds; None where somebody has to do something first."""
        if self.kind is Kind.BUSY:
            return max(1, math.ceil(self.again_s or 1))
        return _MOMENT_S if self.counts else None

    def unavailable(self, model: ModelId) -> ModelUnavailable:
        """What people are told who ask for a model with this trouble."""
        return ModelUnavailable(model, self.reason, retry_after_s=self.retry_after_s)

    def error(self, model: ModelId) -> ChatbillError:
        """What the person is told whose reply it ended."""
        match self.kind:
            case Kind.UNREACHABLE | Kind.SET_UP:
                return self.unavailable(model)
            case Kind.BUSY:
                return Overloaded(retry_after_s=self.retry_after_s or 1)
            case Kind.TOO_LONG:
                return TooLarge.of("message", "over_window")
            case Kind.REFUSED:
                return GenerationFailed("reply_refused")
            case Kind.BROKEN | Kind.MISFIT:
                return GenerationFailed()
