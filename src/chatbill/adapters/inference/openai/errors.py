"""Describe what goes wrong with a server: as text for the log, and as an error for people."""

from __future__ import annotations

import math
from enum import Enum, auto

from chatbill.adapters.inference.availability.health import Fault
from chatbill.adapters.inference.window import Window
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    ChatbillError,
    GenerationFailed,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
)
from chatbill.domain.shared.ids import ModelId


class ErrorKind(Enum):
    """The kinds of server errors, by their meaning for the model."""

    UNREACHABLE = auto()  # no connection: counts against the server
    CRASHED = auto()  # its process ended and is started again by this one
    BROKEN = auto()  # an error of its own, silence, or an answer that makes no sense: counts against the server
    BUSY = auto()  # it works, and refuses more for now
    SET_UP = auto()  # it does not know the model, or wants to be paid: an operator has to change something first
    REFUSED = auto()  # it does not accept our key, or this message: a probe, which is harmless, tells which
    TOO_LONG = auto()  # the prompt does not fit into its window
    FILTERED = auto()  # its content filter refuses the message
    FIELD = auto()  # it refuses a setting of the user's
    MISFIT = auto()  # it refuses this one request


_NOT_SET_UP = Description("model_not_set_up")
_REASONS = {
    ErrorKind.UNREACHABLE: Description("model_server_unreachable"),
    ErrorKind.CRASHED: Description("model_server_broken"),
    ErrorKind.BROKEN: Description("model_server_broken"),
    ErrorKind.BUSY: Description("model_server_busy"),
    ErrorKind.SET_UP: _NOT_SET_UP,
    ErrorKind.REFUSED: _NOT_SET_UP,
    ErrorKind.TOO_LONG: Description("model_window_too_small"),
    ErrorKind.FILTERED: Description("model_server_refuses"),
    ErrorKind.FIELD: Description("model_server_refuses"),
    ErrorKind.MISFIT: Description("model_server_refuses"),
}
_RETRY_AFTER_S = 5
"""The time after which a model that did not work was probed again."""


class ServerError(Exception):
    """One request to a server failed. The text is for the log alone, and quotes nothing that the server said.

    `details` do, so they may be logged only where the server was sent nothing that a user wrote. `again_s` is not None
    where nothing was computed and another try in so many seconds (0: at once) may help. `field` is the setting that a
    server refuses.
    """

    def __init__(
        self, kind: ErrorKind, text: str, *, details: str = "", again_s: float | None = None, field: str | None = None
    ) -> None:
        super().__init__(text)
        self.field = field
        self.kind = kind
        self.details = details or text
        self.again_s = again_s

    @property
    def counts(self) -> bool:
        """Return True if the server is at fault, and not the request."""
        return self.kind in {ErrorKind.UNREACHABLE, ErrorKind.BROKEN}

    @property
    def needs_probe(self) -> bool:
        """True where a probe has to tell whether the model works for other requests."""
        return self.counts or self.kind is ErrorKind.REFUSED

    @property
    def fault(self) -> Fault:
        """Return why a model with this error is unavailable; without seconds if an operator has to act first."""
        if self.kind is ErrorKind.BUSY:
            return Fault(_REASONS[self.kind], max(1, math.ceil(self.again_s or 1)))
        return Fault(_REASONS[self.kind], _RETRY_AFTER_S if self.counts else None)

    def error(self, model: ModelId, window: Window) -> ChatbillError:
        """Return the error for the person whose reply it ended; `window` is that of the request."""
        match self.kind:
            case ErrorKind.UNREACHABLE | ErrorKind.SET_UP:
                return ModelUnavailable(model, self.fault.reason, retry_after_s=self.fault.retry_after_s)
            case ErrorKind.BUSY:
                return Overloaded(retry_after_s=self.fault.retry_after_s or 1)
            case ErrorKind.TOO_LONG:
                return window.exceeded()
            case ErrorKind.REFUSED:
                return GenerationFailed("reply_refused")
            case ErrorKind.FIELD:
                return InvalidRequest.of(self.field or "", "refused_by_model")
            case ErrorKind.BROKEN | ErrorKind.CRASHED | ErrorKind.MISFIT | ErrorKind.FILTERED:
                return GenerationFailed()
