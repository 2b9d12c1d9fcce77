"""Logging: one format for every source, with context and without secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import socket
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description
from chatbill.logs import REDACTED, OutageFilter, set_up_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Return the stream of the logs, and restore the configuration afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


class Minutes:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_time_level_logger_and_context(stream: io.StringIO) -> None:
    set_up_logs(log_format="json", stream=stream)
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger("chatbill.billing").info("charged", credits=3, wallet_id="w1")
    (line,) = lines(stream)
    assert abs(datetime.fromisoformat(line.pop("timestamp")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert line == {
        "event": "charged",
        "level": "info",
        "logger": "chatbill.billing",
        "instance": f"{socket.gethostname()}:{os.getpid()}",
        "request_id": "r1",
        "credits": 3,
        "wallet_id": "w1",
    }


def test_libraries_use_the_same_pipeline(stream: io.StringIO) -> None:
    library = logging.getLogger("some.library")
    library.addHandler(logging.StreamHandler(io.StringIO()))
    library.disabled = True
    set_up_logs(log_format="json", stream=stream)
    structlog.contextvars.bind_contextvars(request_id="r1")
    library.warning("took %d ms", 7, extra={"host": "db"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", UserWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["host"], first["request_id"]) == ("took 7 ms", "db", "r1")
    assert "old way" in second["event"]


@pytest.mark.parametrize("source", ["structlog", "library"])
def test_an_exception_is_data_without_local_variables(stream: io.StringIO, source: str) -> None:
    set_up_logs(log_format="json", stream=stream)
    logger = structlog.get_logger("a") if source == "structlog" else logging.getLogger("a")

    def fail(secret_local: str) -> None:
        raise ValueError("broken")

    try:
        fail("hunter2")
    except ValueError:
        logger.exception("it failed")
    (line,) = lines(stream)
    assert line["event"] == "it failed"
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert line["exception"][0]["frames"][-1]["name"] == "fail"
    assert "hunter2" not in stream.getvalue()


def test_a_console_shows_the_traceback(stream: io.StringIO) -> None:
    set_up_logs(stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("a").exception("it failed")
    assert "it failed" in stream.getvalue()
    assert "ValueError: broken" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue(), "colours are for terminals"


def test_a_console_does_not_obey_what_a_client_has_sent(stream: io.StringIO) -> None:
    set_up_logs(stream=stream)
    logging.getLogger("a").info("request", extra={"path": "/\x1b[2J\x9b2J", "paths": ["\x1b[2J"]})
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "\x9b" not in line
    assert r"\x1b[2J" in line


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "said",
    [
        {"password": "hunter2"},
        {"new_password": "hunter2"},
        {"password_hash": "hunter2"},
        {"api_key": "hunter2"},
        {"X-Api-Key": "hunter2"},
        {"refresh_token": "hunter2"},
        {"Authorization": "hunter2"},
        {"headers": {"cookie": "hunter2"}},
        {"headers": [{"Set-Cookie": ["hunter2"]}]},
        {"secret_key": b"hunter2"},
        {"header": "Bearer hunter2hunter2"},
        {"url": "postgresql+psycopg://me:hunter2@host/name"},
        {"path": f"/v1/models/cb_019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b_{'hunter2'.ljust(43, 'x')}"},
        {"text": "got eyJhbGciOiJub25lIn0.hunter2.hunter2 in a query"},
    ],
)
def test_secrets_are_redacted(stream: io.StringIO, log_format: Any, said: dict[str, Any]) -> None:
    set_up_logs(log_format=log_format, stream=stream)
    structlog.get_logger("a").info("said", **said)
    assert "hunter2" not in stream.getvalue()
    assert REDACTED in stream.getvalue()


def test_secrets_in_an_exception_are_redacted(stream: io.StringIO) -> None:
    for log_format in ("json", "console"):
        set_up_logs(log_format=log_format, stream=stream)
        try:
            raise ValueError("no connection to postgresql://me:hunter2@host/name")
        except ValueError:
            logging.getLogger("a").exception("it failed")
    assert "me:hunter2" not in stream.getvalue().replace('raise ValueError("no connection to postgresql://me', "")


def test_names_that_only_look_like_secrets_stay(stream: io.StringIO) -> None:
    set_up_logs(log_format="json", stream=stream)
    figures = {
        "completion_tokens": 5,
        "token_type": "bearer",
        "monkey": "x",
        "idempotency_key": "k1",
        "url": "http://host:8000/a@b",
        "has_password": True,
        "token": None,
    }
    structlog.get_logger("a").info("said", **figures)
    assert lines(stream)[0].items() >= figures.items()


def test_the_level_applies_to_libraries(stream: io.StringIO) -> None:
    set_up_logs(log_format="json", log_level="WARNING", stream=stream)
    for logger in (structlog.get_logger("a"), logging.getLogger("b")):
        logger.info("quiet")
        logger.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud", "loud"]


def test_the_last_configuration_is_used(stream: io.StringIO) -> None:
    set_up_logs(log_format="json", stream=stream)
    set_up_logs(log_format="json", stream=stream)
    structlog.get_logger("a").info("once")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_full_disk_logs_one_line_without_a_traceback(
    stream: io.StringIO, log_format: Literal["console", "json"]
) -> None:
    set_up_logs(log_format=log_format, stream=stream)
    for number in range(12):
        try:
            try:
                raise OSError("disk is full")
            except OSError as error:
                raise StoreUnavailable("disk is full", advice=Description("disk_full")) from error
        except StoreUnavailable:
            logging.getLogger("library").exception("request %d failed", number)
            structlog.get_logger("chatbill").exception("timer_failed", timer="sweep")
    output = stream.getvalue()
    assert len(output.splitlines()) == 1
    assert "request 0 failed" in output
    assert "disk_full: disk is full" in output
    assert "Traceback" not in output


def test_an_outage_is_logged_again_after_a_minute_with_the_number_of_lines_left_out() -> None:
    clock = Minutes()
    outages = OutageFilter(clock)
    full = StoreUnavailable("disk is full", advice=Description("disk_full"))

    def passes(error: Exception) -> dict[str, Any] | None:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", None, (type(error), error, None))
        return vars(record) if outages.filter(record) else None

    assert passes(full)
    assert [passes(full), passes(full)] == [None, None]
    assert passes(StoreUnavailable("locked", advice=Description("database_locked")))
    assert passes(ValueError("a bug"))
    clock.now += 60
    assert (passes(full) or {})["repeated"] == 2


SOURCES = Path(__file__).parent.parent / "src" / "chatbill"
LOGGERS = {"_log", "logger"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def event_names() -> Iterator[tuple[str, ast.expr]]:
    """Yield the place and the first argument of each call of a logger."""
    for file in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=args) if (
                    name in LOGGERS and attr in {*LEVELS, "log"}
                ):
                    yield f"{file.relative_to(SOURCES)}:{node.lineno}", args[attr == "log"]


def test_the_event_of_each_message_has_a_constant_name() -> None:
    found = list(event_names())
    assert len(found) > 50
    for place, event in found:
        if not (isinstance(event, ast.Name) and event.id == "event"):
            assert isinstance(event, ast.Constant), place
            assert re.fullmatch(r"[a-z][a-z0-9_]*", str(event.value)), place


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_newest_events_are_kept_without_secrets_and_texts_of_errors(
    stream: io.StringIO, log_format: Literal["json", "console"]
) -> None:
    buffer = set_up_logs(log_format=log_format, stream=stream)
    structlog.get_logger("chatbill.a").info("said", password="hunter2", count=3, long="x" * 9_000)
    try:
        raise ValueError("Gudrun wrote this")
    except ValueError:
        structlog.get_logger("chatbill.a").exception("failed", model="m")
        logging.getLogger("library").exception("Gudrun wrote %s", "more")
    library, failed, said = buffer.newest()
    assert (said.event, said.level, said.facts["password"], said.facts["count"]) == ("said", "info", REDACTED, 3)
    assert len(str(said.facts["long"])) == 500
    assert (failed.facts["model"], failed.facts["error_type"]) == ("m", "ValueError")
    assert str(failed.facts["raised_at"]).startswith(f"{__name__}:")
    assert (library.event, library.logger) == ("library_message", "library")
    assert "Gudrun" not in str(buffer.newest())
    assert "Gudrun" in stream.getvalue()


def test_no_more_events_are_kept_than_the_bound(stream: io.StringIO) -> None:
    buffer = set_up_logs(log_format="json", stream=stream)
    for number in range(1_100):
        structlog.get_logger("chatbill.a").info("counted", number=number)
    kept = [event.facts["number"] for event in buffer.newest()]
    assert kept == list(range(1_099, 99, -1))
