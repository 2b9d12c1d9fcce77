"""Traces by OpenTelemetry: a span for each request, reply, transaction and job, with named values alone.

A span is made when its work has ended, from what the metrics port says of it. So no library looks into requests,
statements or prompts, and a span has nothing but the attributes that are written here.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

from chatbill.application.ports.metrics import NoMetrics
from chatbill.application.shared.origin import current_origin
from chatbill.domain.chat.interactions import Interaction, Outcome

SERVER_ERROR: Final = 500
FAILED: Final = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED})
Attributes = Mapping[str, str | int | bool | None]


class Traces(NoMetrics):
    """Makes spans. Those of a request have the trace that its request id names, in every process."""

    def __init__(
        self, processor: SpanProcessor, *, service: str, version: str, instance: str, ratio: float = 1.0
    ) -> None:
        self._ids = _Ids()
        about = {"service.name": service, "service.version": version, "service.instance.id": instance}
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(ratio),
            resource=Resource(about),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(service, version)

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Make the span of a request, the root of its trace."""
        request_id = current_origin().request_id
        attributes: Attributes = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "chatbill.request_id": request_id,
        }
        if request_id:
            self._ids.next_are(*_ids_of(request_id))
        failed = status >= SERVER_ERROR or not status
        self._span(f"{method} {route}", seconds, attributes, kind=SpanKind.SERVER, failed=failed)

    def reply_ended(self, interaction: Interaction) -> None:
        """Make the span of a reply."""
        attributes: Attributes = {
            "gen_ai.request.model": interaction.model,
            "gen_ai.usage.input_tokens": interaction.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": interaction.usage.completion_tokens,
            "chatbill.outcome": interaction.outcome.value,
            "chatbill.error": interaction.error_code,
            "chatbill.first_token_ms": interaction.first_token_ms,
            "chatbill.credits": interaction.credits_charged,
            "chatbill.cached": interaction.cached,
        }
        seconds = (interaction.processing_time_ms or 0) / 1_000
        self._span("reply", seconds, attributes, parent=_request(), failed=interaction.outcome in FAILED)

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Make the span of a transaction of a request. Those of work in the background would be traces of their own."""
        if parent := _request():
            self._span("store write" if is_write else "store read", seconds, {}, parent=parent, failed=failed)

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Make the span of an attempt of a job, which is a trace of its own."""
        attributes = {"chatbill.job": kind, "chatbill.outcome": outcome}
        self._span(f"job {kind}", seconds, attributes, failed=outcome != "done")

    def close(self) -> None:
        """Send what is left, within the exporter's time, and stop."""
        self._provider.shutdown()

    def _span(
        self,
        name: str,
        seconds: float,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
        failed: bool,
    ) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=parent or Context(),
            kind=kind,
            attributes={key: value for key, value in attributes.items() if value is not None},
            start_time=end - int(seconds * 1_000_000_000),
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _ids_of(request_id: str) -> tuple[int, int]:
    """Return the ids of the trace of a request and of its first span."""
    digest = hashlib.sha256(request_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _request() -> Context | None:
    """Return the place of the present request in its trace; None outside of one."""
    request_id = current_origin().request_id
    if request_id is None:
        return None
    trace_id, span_id = _ids_of(request_id)
    place = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(place), Context())


class _Ids(IdGenerator):
    """Makes ids by chance, except for a span whose ids were said before, on the same thread."""

    def __init__(self) -> None:
        self._next = threading.local()
        self._chance = random.SystemRandom()

    def next_are(self, trace_id: int, span_id: int) -> None:
        """Use these ids for the next span without a parent."""
        self._next.trace_id, self._next.span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        return self._taken("trace_id") or self._chance.getrandbits(128)

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        return self._taken("span_id") or self._chance.getrandbits(64)

    def _taken(self, name: str) -> int:
        taken = int(getattr(self._next, name, 0))
        setattr(self._next, name, 0)
        return taken
