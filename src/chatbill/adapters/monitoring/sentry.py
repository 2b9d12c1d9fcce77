"""Reports errors to Sentry: what was logged, the type of the error, and where it was raised."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sentry_sdk import Client

SENT_FACTS: Final = (
    *(
        "request_id",
        "error_type",
        "raised_at",
        "route",
        "method",
        "status",
        "kind",
        "code",
        "model",
        "outcome",
        "timer",
    ),
    *("job_id", "attempts", "instance"),
)
"""What is sent of the facts of an event. None is a text of a person, and everything else is left out."""
OWN_LOGGERS: Final = ("sentry_sdk", "urllib3")
MAX_FRAMES: Final = 50
MAX_CAUSES: Final = 10
FLUSH_S: Final = 2.0


class SentryReporter:
    """Sends errors from a thread of its own.

    An event is made here, of named values. The text of an error, which can quote a prompt, is never part of it, nor are
    local variables, lines of the source, or anything that an integration of the library collects.
    """

    def __init__(self, dsn: str, *, release: str, instance: str) -> None:
        self._client = Client(
            dsn=dsn,
            release=release,
            server_name=instance,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            send_client_reports=False,
            shutdown_timeout=FLUSH_S,
        )

    def __call__(self, event: str, logger: str, facts: Mapping[str, Any], error: BaseException | None) -> None:
        """Queue an error. When the queue is full, it is dropped, and what reports it is not reported itself."""
        if logger.startswith(OWN_LOGGERS):
            return
        sent = {name: str(facts[name])[:200] for name in SENT_FACTS if facts.get(name) is not None}
        report: dict[str, Any] = {
            "level": "error",
            "logger": logger,
            "logentry": {"message": event},
            "tags": sent,
            "transaction": sent.get("route"),
        }
        if error is not None:
            report["exception"] = {"values": list(_causes(error))}
        self._client.capture_event(report)  # type: ignore[arg-type]

    def close(self) -> None:
        """Send what is queued, for a short time, and stop."""
        self._client.close(timeout=FLUSH_S)


def _causes(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yield the error and what has caused it, the first cause first."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and len(chain) < MAX_CAUSES and cause not in chain:
        chain.append(cause)
    for each in reversed(chain):
        frames = [
            {"module": frame.f_globals.get("__name__"), "function": frame.f_code.co_name, "lineno": line}
            for frame, line in traceback.walk_tb(each.__traceback__)
        ]
        yield {"type": type(each).__name__, "stacktrace": {"frames": frames[-MAX_FRAMES:]}}
