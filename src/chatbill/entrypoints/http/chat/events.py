"""The server-sent events of `POST /chat/message`."""

from __future__ import annotations

from litestar.serialization import encode_json

from chatbill.application.chat.events import Accepted, Completed, Delta, Event, Failed, Stopped
from chatbill.entrypoints.http.chat.views import ReplyView
from chatbill.entrypoints.web.problems import problem_of, problem_of_reply


class ChatbillEvents:
    """Renders `accepted`, each `delta`, then `done` or `error`."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def render_event(self, event: Event) -> bytes:
        """Return one event of the stream for each event of the reply."""
        match event:
            case Accepted():
                accepted = {"id": event.interaction_id, "conversation_id": event.conversation_id, "held": event.held}
                return _encoded("accepted", accepted)
            case Delta():
                return _encoded("delta", {"text": event.text})
            case Completed() | Stopped():
                return _encoded("done", ReplyView.of(event))
            case Failed():
                return _encoded("error", problem_of_reply(event).body(self._request_id))

    def render_error(self, error: Exception) -> bytes:
        """Return an `error` event for an unexpected error."""
        return _encoded("error", problem_of(error).body(self._request_id))


def _encoded(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encode_json(data) + b"\n\n"
