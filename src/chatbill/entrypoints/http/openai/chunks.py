"""Renders a reply as the chunks of OpenAI's API."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar.serialization import encode_json

from chatbill.application.chat.events import Accepted, Completed, Delta, Event, Failed, Stopped
from chatbill.entrypoints.http.openai.errors import error_body
from chatbill.entrypoints.http.openai.views import CompletionUsage, chunk, comment_of, finish_reason
from chatbill.entrypoints.web.problem_kinds import Problem
from chatbill.entrypoints.web.problems import problem_of, problem_of_reply

DONE: Final = b"data: [DONE]\n\n"


class ChatChunks:
    """Renders a chunk with the role, a chunk for each delta, a chunk with the finish reason, and `[DONE]`.

    With `usage`, the last chunk has the usage, and every other one has the usage null. A comment at the end has the
    charge. A failure is one event with an error, which clients raise; nothing follows it.
    """

    def __init__(self, *, longest: int, usage: bool, request_id: str) -> None:
        self._longest = longest
        self._no_usage: dict[str, None] = {"usage": None} if usage else {}
        self._request_id = request_id
        self._created = int(time.time())
        self._id = self._model = ""

    def render_event(self, event: Event) -> bytes:
        """Return the chunks for an event of the reply."""
        match event:
            case Accepted():
                self._id, self._model = event.interaction_id, event.model
                return self._chunk({"role": "assistant", "content": ""})
            case Delta():
                return self._chunk({"content": event.text})
            case Completed() | Stopped():
                return self._end(event)
            case Failed():
                return self._error(problem_of_reply(event))

    def render_error(self, error: Exception) -> bytes:
        """Return an event with an error, which clients raise."""
        return self._error(problem_of(error))

    def _end(self, end: Completed | Stopped) -> bytes:
        interaction, reason = end.interaction, finish_reason(end, longest=self._longest)
        last = chunk(self._id, self._model, self._created, delta={}, reason=reason)
        frames = [_encoded(last | self._no_usage)]
        if self._no_usage:
            frames.append(_encoded(last | {"choices": [], "usage": CompletionUsage.of(interaction)}))
        frames.append(f": {comment_of(interaction)}\n\n".encode())
        return b"".join([*frames, DONE])

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return _encoded(chunk(self._id, self._model, self._created, delta=delta) | self._no_usage)

    def _error(self, problem: Problem) -> bytes:
        return _encoded(error_body(problem, self._request_id))


def _encoded(data: object) -> bytes:
    return b"data: " + encode_json(data) + b"\n\n"
