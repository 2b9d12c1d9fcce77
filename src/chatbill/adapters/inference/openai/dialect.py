"""How one server likes to be asked, learnt from its own words where it refuses what others take."""

from __future__ import annotations

import re
from typing import Any

_NO_SYSTEM = re.compile(r"system.{0,3}(role|turn|message|prompt)|roles must alternate", re.IGNORECASE)
"""What the chat templates say that know no turn of the system."""


class Dialect:
    """Begins with what most servers understand. What was learnt stays."""

    def __init__(self) -> None:
        self._length_field = "max_tokens"
        self._asks_for_usage = True
        self._without_system: set[str] = set()

    def body(self, wished: dict[str, Any], max_tokens: int) -> dict[str, Any]:
        """The request as this server takes it."""
        usage = {"stream_options": {"include_usage": True}} if self._asks_for_usage else {}
        messages = wished["messages"]
        if wished["model"] in self._without_system and _has_system(messages):
            messages = _folded(messages)
        return {**wished, **usage, "messages": messages, self._length_field: max_tokens, "stream": True}

    def learn(self, words: str, wished: dict[str, Any]) -> bool:
        """True where the server's words tell how it wants to be asked instead; from then on it is asked so."""
        if self._asks_for_usage and "stream_options" in words:
            self._asks_for_usage = False
        elif self._length_field == "max_tokens" and "max_completion_tokens" in words:
            self._length_field = "max_completion_tokens"
        elif (
            _has_system(wished["messages"]) and wished["model"] not in self._without_system and _NO_SYSTEM.search(words)
        ):
            self._without_system.add(wished["model"])
        else:
            return False
        return True


def _has_system(messages: list[dict[str, str]]) -> bool:
    return messages[0]["role"] == "system"


def _folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the system says becomes the beginning of the person's first message."""
    system, first, *others = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
