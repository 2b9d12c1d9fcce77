"""How the models of one server like to be asked, learnt where they refuse what others take."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any


class Quirk(Enum):
    """What one model wants otherwise than most."""

    NO_USAGE = auto()  # it cannot be asked to count
    COMPLETION_LENGTH = auto()  # it calls max_tokens otherwise
    NO_SYSTEM = auto()  # its chat template knows no turn of the system


_WORDS = {
    Quirk.NO_USAGE: re.compile(r"stream_options", re.IGNORECASE),
    Quirk.COMPLETION_LENGTH: re.compile(r"max_completion_tokens", re.IGNORECASE),
    Quirk.NO_SYSTEM: re.compile(
        r"system.{0,3}(role|turn|message|prompt)|roles must alternate", re.IGNORECASE | re.DOTALL
    ),
}
"""How servers tell of each when they refuse a request."""

Quirks = frozenset[Quirk]


class Dialect:
    """What was learnt of each model of a server; it stays. Nothing is known at first, and most need nothing."""

    def __init__(self) -> None:
        self._learnt: dict[str, Quirks] = {}

    def of(self, wished: dict[str, Any]) -> Quirks:
        """How the model of this request is to be asked, as far as is known."""
        return self._learnt.get(wished["model"], frozenset())

    def worked(self, wished: dict[str, Any], quirks: Quirks) -> None:
        """Remember how this request was taken in the end.

        A refusal can quote what it refuses, so what the person's own words may have brought up is not remembered:
        else anybody could have everybody's requests written otherwise.
        """
        known = self.of(wished)
        if quirks == known:
            return
        own = "\n".join([*(message["content"] for message in wished["messages"]), *wished.get("stop", ())])
        self._learnt[wished["model"]] = known | {quirk for quirk in quirks if not _WORDS[quirk].search(own)}


def body_of(wished: dict[str, Any], max_tokens: int, quirks: Quirks) -> dict[str, Any]:
    """The request as a model with these quirks takes it."""
    usage = {} if Quirk.NO_USAGE in quirks else {"stream_options": {"include_usage": True}}
    length = "max_completion_tokens" if Quirk.COMPLETION_LENGTH in quirks else "max_tokens"
    messages = wished["messages"]
    if Quirk.NO_SYSTEM in quirks and _has_system(messages):
        messages = _folded(messages)
    return {**wished, **usage, "messages": messages, length: max_tokens, "stream": True}


def hint(words: str, wished: dict[str, Any], quirks: Quirks) -> Quirk | None:
    """What may help where the server refused with these words; None where nothing new does."""
    for quirk in Quirk:
        applies = quirk is not Quirk.NO_SYSTEM or _has_system(wished["messages"])
        if quirk not in quirks and applies and _WORDS[quirk].search(words):
            return quirk
    return None


def _has_system(messages: list[dict[str, str]]) -> bool:
    return messages[0]["role"] == "system"


def _folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the system says becomes the beginning of the person's first message."""
    system, first, *others = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
