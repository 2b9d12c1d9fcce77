"""Traces and reports of errors, as a collector gets them: with what helps, and without what people have written."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from io import StringIO

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.monitoring.observed_store import ObservedStore
from chatbill.adapters.monitoring.sentry import SentryReporter
from chatbill.adapters.monitoring.traces import Traces
from chatbill.application.ports.engine import Generation, GenerationRequest
from chatbill.error_reports import reporting_errors
from chatbill.logs import set_up_logs
from chatbill.monitors import make_error_reporter, make_traces
from chatbill.settings import Settings, SettingsError
from tests.kit.collector import Collector, collecting
from tests.kit.http import Api, api, say
from tests.kit.support import CATALOGUE, PASSWORD

PROMPT = "My secret illness"
"""The reply has words of it."""
BROKEN = "Break down, secretly"
TRACE_OF = {"X-Request-Id": "trace-me"}


class TalkativeEngine(ScriptedEngine):
    """Fails at one prompt, with the prompt in the error, in its cause and in a local variable."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        quoted = request.turns[-1].text
        if quoted == BROKEN:
            try:
                raise KeyError(quoted)
            except KeyError as error:
                raise RuntimeError(f"cannot answer {quoted}") from error
        return await super().prepare(request)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs(log_format="json", stream=StringIO())
    yield
    root.handlers[:], root.level = before


def settings(collector: Collector) -> Settings:
    return Settings(
        traces_url=f"http://127.0.0.1:{collector.port}/v1/traces",
        sentry_dsn=f"http://public@127.0.0.1:{collector.port}/7",  # type: ignore[arg-type]
    )


@pytest.fixture
async def service(collector: Collector) -> AsyncIterator[tuple[Api, Traces, SentryReporter]]:
    traces, reporter = make_traces(settings(collector)), make_error_reporter(settings(collector))
    assert traces
    assert reporter
    engine = TalkativeEngine(CATALOGUE)
    store = ObservedStore(MemoryStore(), traces)
    with reporting_errors(reporter):
        async with api(metrics=traces, engine=engine, store=store) as running:
            yield running, traces, reporter
    with suppress(Exception):
        traces.close()


def spans(collector: Collector) -> list[Span]:
    found = []
    for path, body in zip(collector.paths, collector.bodies, strict=True):
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def values(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


async def test_a_request_is_a_trace_with_its_reply_and_its_transactions(
    service: tuple[Api, Traces, SentryReporter], collector: Collector
) -> None:
    running, traces, _ = service
    alice = await running.person()
    assert (await alice.post("/chat/message", json=say(PROMPT), headers=TRACE_OF)).status_code == 200
    traces.close()
    (root,) = [each for each in spans(collector) if values(each).get("chatbill.request_id") == "trace-me"]
    assert root.name == "POST /chat/message"
    assert (root.parent_span_id, values(root)["http.response.status_code"]) == (b"", 200)
    inside = [each for each in spans(collector) if each.trace_id == root.trace_id and each is not root]
    assert {each.name for each in inside if each.parent_span_id == root.span_id} >= {"reply", "store write"}
    (reply,) = [values(each) for each in inside if each.name == "reply"]
    assert (reply["gen_ai.request.model"], reply["chatbill.outcome"]) == ("demo-mini", "completed")
    assert all(each.start_time_unix_nano <= each.end_time_unix_nano for each in spans(collector))


async def test_an_error_arrives_with_its_type_and_its_place(
    service: tuple[Api, Traces, SentryReporter], collector: Collector
) -> None:
    running, _, reporter = service
    alice = await running.person()
    await alice.post("/chat/message", json=say(BROKEN), headers=TRACE_OF)
    reporter.close()
    (envelope,) = [body for path, body in zip(collector.paths, collector.bodies, strict=True) if "/7/" in path]
    event = json.loads(envelope.splitlines()[2])
    assert [each["type"] for each in event["exception"]["values"]] == ["KeyError", "RuntimeError"]
    last = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert last["function"] == "prepare"
    assert event["tags"]["request_id"] == "trace-me"


async def test_no_prompt_no_reply_no_token_and_no_variable_arrives(
    service: tuple[Api, Traces, SentryReporter], collector: Collector
) -> None:
    running, traces, reporter = service
    alice = await running.person()
    for text in (PROMPT, BROKEN):
        await alice.post("/chat/message", json=say(text))
    await alice.get(f"/chat/conversations?q={PROMPT}")
    key = (await alice.post("/auth/api-keys", json={"name": "a secret name"})).json()
    wrong = {"username": "alice", "password": "a secret guess"}
    assert (await running.client().post("/auth/login", json=wrong)).status_code == 401
    traces.close()
    reporter.close()
    assert {path.split("/")[1] for path in collector.paths} == {"v1", "api"}
    token = alice.headers["Authorization"].removeprefix("Bearer ")
    sought = [
        PROMPT,
        *PROMPT.split()[1:],
        BROKEN,
        "secret",
        PASSWORD,
        token,
        token[-40:],
        "alice@example.org",
        str(key.get("key")),
    ]
    for words in sought:
        assert words.encode() not in collector.everything, words
    assert b"cannot answer" not in collector.everything
    assert b"vars" not in collector.everything


def test_an_address_that_is_none_of_sentry_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="SENTRY_DSN"):
        make_error_reporter(Settings(sentry_dsn="not an address"))  # type: ignore[arg-type]


def test_without_settings_nothing_is_made() -> None:
    assert make_traces(Settings()) is None
    assert make_error_reporter(Settings()) is None
