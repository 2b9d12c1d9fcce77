"""Content negotiation."""

from __future__ import annotations

import pytest

from chatbill.entrypoints.http.shared.negotiation import prefers


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/event-stream, application/json", True),
        ("text/event-stream;q=0.9, application/json;q=0.5", True),
        ("text/event-stream;q=0.5, application/json", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=much", False),
        ("application/json", False),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        (",;,", False),
    ],
)
def test_a_stream_must_be_named_by_the_accept_header(accept: str, expected: bool) -> None:
    assert prefers("text/event-stream", accept) is expected
