"""How the models of one server deviate from OpenAI's API, learned from what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from chatbill.adapters.inference.openai.refusals import ServerMessage
from chatbill.domain.shared.ids import UserId


class Deviation(Enum):
    """One way in which a model must be asked differently."""

    NO_USAGE = auto()  # it cannot be asked to count
    COMPLETION_LENGTH = auto()  # it has another name for max_tokens
    NO_SYSTEM = auto()  # its chat template has no turn of the system
    NO_STREAM = auto()  # it writes whole replies only
    NO_TEMPERATURE = auto()  # it samples as it wants
    NO_TOP_P = auto()
    NO_STOP = auto()  # stop strings are found here


_FIELDS = {Deviation.NO_TEMPERATURE: "temperature", Deviation.NO_TOP_P: "top_p", Deviation.NO_STOP: "stop"}
"""The fields that are left out."""
_FIELD_PATTERNS = {
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "top_p": re.compile(r"\btop_p\b", re.IGNORECASE),
    "stop": re.compile(r"['\"`]stop['\"`]|\bstop[ _](sequence|string|word)s?\b", re.IGNORECASE),
    "seed": re.compile(r"\b(random_)?seed\b", re.IGNORECASE),
}
_PATTERNS = {
    Deviation.NO_USAGE: re.compile(r"stream_options", re.IGNORECASE),
    Deviation.COMPLETION_LENGTH: re.compile(r"max_completion_tokens", re.IGNORECASE),
    Deviation.NO_SYSTEM: re.compile(
        r"system.{0,3}(role|turn|message|prompt)|roles must alternate", re.IGNORECASE | re.DOTALL
    ),
    Deviation.NO_STREAM: re.compile(r"\bstream(ing)?\b(?!_).{0,40}(not|only|un)", re.IGNORECASE | re.DOTALL),
    **{deviation: _FIELD_PATTERNS[field] for deviation, field in _FIELDS.items()},
}
"""What servers write about each of them when they refuse a request."""

Deviations = frozenset[Deviation]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request as a server without deviations takes it, apart from its length and the way of its answer.

    `optional` are the fields of `body` without which the server may be asked: defaults, and what is done here too.
    `owner` is the user whose request it is; no server is told.
    """

    body: dict[str, Any]
    max_tokens: int
    optional: frozenset[str] = frozenset()
    owner: UserId | None = None

    @property
    def model(self) -> str:
        """Return the server's name of the model."""
        return str(self.body["model"])

    @property
    def has_system(self) -> bool:
        """Return True if it begins with a turn of the system."""
        return bool(self.body["messages"][0]["role"] == "system")

    def quotes(self, pattern: re.Pattern[str]) -> bool:
        """Return True if the user's own text matches, which a refusal can quote."""
        own = [*(message["content"] for message in self.body["messages"]), *self.body.get("stop", ())]
        return pattern.search("\n".join(own)) is not None


class Dialect:
    """The known deviations of each model of a server."""

    def __init__(self) -> None:
        self._known: dict[str, Deviations] = {}

    def of(self, request: ChatRequest) -> Deviations:
        """Return the known deviations of the model that this request asks for."""
        return self._known.get(request.model, frozenset())

    def accepted(self, request: ChatRequest, deviations: Deviations) -> Deviations:
        """Remember with which deviations this request was accepted, and return those that were not known.

        A refusal can quote what it refuses, so a deviation that the user's own text names is not remembered: one user
        could change the requests of all others.
        """
        known = self.of(request)
        new = frozenset(found for found in deviations - known if not request.quotes(_PATTERNS[found]))
        if new:
            self._known[request.model] = known | new
        return new


def body_of(request: ChatRequest, deviations: Deviations) -> dict[str, Any]:
    """Return the request as a model with these deviations accepts it."""
    left_out = {_FIELDS[deviation] for deviation in deviations & set(_FIELDS)} & request.optional
    body = {name: value for name, value in request.body.items() if name not in left_out}
    if Deviation.NO_SYSTEM in deviations and request.has_system:
        body["messages"] = without_system(body["messages"])
    body["stream"] = Deviation.NO_STREAM not in deviations
    if body["stream"] and Deviation.NO_USAGE not in deviations:
        body["stream_options"] = {"include_usage": True}
    length = "max_completion_tokens" if Deviation.COMPLETION_LENGTH in deviations else "max_tokens"
    return {**body, length: request.max_tokens}


def deviation_named(refusal: ServerMessage, request: ChatRequest, deviations: Deviations) -> Deviation | None:
    """Return the next deviation to try, from a refusal; None where it names no other one."""
    for deviation, pattern in _PATTERNS.items():
        if deviation in deviations or not _applies(deviation, request):
            continue
        if _FIELDS.get(deviation) in refusal.fields or pattern.search(refusal.text):
            return deviation
    return None


def field_named(refusal: ServerMessage, request: ChatRequest) -> str | None:
    """Return the field of the user's that a refusal names; None where it may only quote what the user wrote."""
    for field in _given(request):
        pattern = _FIELD_PATTERNS[field]
        if field in refusal.fields or (pattern.search(refusal.text) and not request.quotes(pattern)):
            return field
    return None


def _given(request: ChatRequest) -> Iterable[str]:
    return (field for field in _FIELD_PATTERNS if field in request.body and field not in request.optional)


def _applies(deviation: Deviation, request: ChatRequest) -> bool:
    if deviation is Deviation.NO_SYSTEM:
        return request.has_system
    field = _FIELDS.get(deviation)
    return field is None or (field in request.body and field in request.optional)


def without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the messages with the text of the system at the beginning of the first one of the user."""
    system, first, *others = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
