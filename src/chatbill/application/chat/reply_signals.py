"""What processes tell each other about replies: requests to the writer, and what it has written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from chatbill.domain.shared.ids import InteractionId

REQUESTS: Final = "replies"
"""The topic to which every process that writes replies listens."""


def stop_request(interaction_id: InteractionId) -> str:
    """Ask the writer of a reply to stop it."""
    return f"stop {interaction_id}"


def follow_request(interaction_id: InteractionId, seen: int) -> str:
    """Ask the writer of a reply to tell it from this character on."""
    return f"follow {interaction_id} {seen}"


def topic_of(interaction_id: InteractionId) -> str:
    """Return the topic on which a reply is told."""
    return f"reply {interaction_id}"


@dataclass(frozen=True, slots=True)
class Told:
    """Text of a reply from the character number `start` on. `ended` tells that the reply is settled."""

    start: int
    text: str
    ended: bool = False

    def dumps(self) -> str:
        """Return it as a message."""
        return json.dumps([self.start, self.text, self.ended])

    @classmethod
    def loads(cls, message: str) -> Told:
        """Read a message."""
        return cls(*json.loads(message))
