"""What a request turned out to be, noted while it is answered, for its line in the log and for the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from litestar.types import Scope

from chatbill.application.chat.events import End, Failed

UNMATCHED: Final = "unmatched"
"""The route of a request for which there is none. Its path is chosen by the client, so it is no name of anything."""
CLIENT_LEFT: Final = 499
"""The status of a stream whose client disconnected before its end, as nginx has it."""


@dataclass(slots=True)
class RequestFacts:
    """`status` is how the request really ended: that of the error where a stream failed after its 200."""

    status: int = 0
    reply: dict[str, Any] = field(default_factory=dict)

    def note_end(self, end: End) -> None:
        """Note which interaction was answered, and how it ended."""
        interaction = end.interaction
        self.reply = {
            "interaction_id": interaction.id,
            "model": interaction.model,
            "outcome": interaction.outcome.value,
        }
        if isinstance(end, Failed):
            self.reply["code"] = end.code


_facts: ContextVar[RequestFacts | None] = ContextVar("request_facts", default=None)


def current_facts() -> RequestFacts:
    """Return the facts of the request that this task answers; new ones outside of any request."""
    return _facts.get() or RequestFacts()


@contextmanager
def noting_facts() -> Iterator[RequestFacts]:
    """Let `current_facts` return the same facts within the block."""
    token = _facts.set(facts := RequestFacts())
    try:
        yield facts
    finally:
        _facts.reset(token)


def route_of(scope: Scope) -> str:
    """Return the template of the route that answers a request, which holds no ids; `UNMATCHED` if there is none."""
    # Litestar has the first, and FastAPI the second.
    return str(scope.get("path_template") or getattr(scope.get("route"), "path", "") or UNMATCHED)
