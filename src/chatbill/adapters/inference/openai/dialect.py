"""How the models of one server deviate from OpenAI's API, learned from what they refuse."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any


class Deviation(Enum):
    """One way in which a model must be asked differently."""

    NO_USAGE = auto()  # it cannot be asked to count
    COMPLETION_LENGTH = auto()  # it has another name for max_tokens
    NO_SYSTEM = auto()  # its chat template has no turn of the system


_PATTERNS = {
    Deviation.NO_USAGE: re.compile(r"stream_options", re.IGNORECASE),
    Deviation.COMPLETION_LENGTH: re.compile(r"max_completion_tokens", re.IGNORECASE),
    Deviation.NO_SYSTEM: re.compile(
        r"system.{0,3}(role|turn|message|prompt)|roles must alternate", re.IGNORECASE | re.DOTALL
    ),
}
"""What servers write about each of them when they refuse a request."""

Deviations = frozenset[Deviation]


class Dialect:
    """The known deviations of each model of a server."""

    def __init__(self) -> None:
        self._known: dict[str, Deviations] = {}

    def of(self, body: dict[str, Any]) -> Deviations:
        """Return the known deviations of the model that this request asks for."""
        return self._known.get(body["model"], frozenset())

    def accepted(self, body: dict[str, Any], deviations: Deviations) -> None:
        """Remember with which deviations this request was accepted.

        A refusal can quote what it refuses, so a deviation that the user's own text names is not remembered: one user
        could change the requests of all others.
        """
        known = self.of(body)
        if deviations == known:
            return
        own = "\n".join([*(message["content"] for message in body["messages"]), *body.get("stop", ())])
        self._known[body["model"]] = known | {found for found in deviations if not _PATTERNS[found].search(own)}


def body_of(body: dict[str, Any], max_tokens: int, deviations: Deviations) -> dict[str, Any]:
    """Return the request as a model with these deviations accepts it."""
    usage = {} if Deviation.NO_USAGE in deviations else {"stream_options": {"include_usage": True}}
    length = "max_completion_tokens" if Deviation.COMPLETION_LENGTH in deviations else "max_tokens"
    messages = body["messages"]
    if Deviation.NO_SYSTEM in deviations and _has_system(messages):
        messages = _without_system(messages)
    return {**body, **usage, "messages": messages, length: max_tokens, "stream": True}


def deviation_named(refusal: str, body: dict[str, Any], deviations: Deviations) -> Deviation | None:
    """Return the next deviation to try, from the text of a refusal; None where it names no other one."""
    for deviation in Deviation:
        applies = deviation is not Deviation.NO_SYSTEM or _has_system(body["messages"])
        if deviation not in deviations and applies and _PATTERNS[deviation].search(refusal):
            return deviation
    return None


def _has_system(messages: list[dict[str, str]]) -> bool:
    return messages[0]["role"] == "system"


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the messages with the text of the system at the beginning of the first one of the user."""
    system, first, *others = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
