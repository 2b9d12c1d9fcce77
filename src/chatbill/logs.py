"""Logging: one pipeline for chatbill and its libraries, as text or JSON, without secrets."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chatbill.application.ports.log_reader import LogEvent
from chatbill.application.ports.store import StoreUnavailable
from chatbill.error_reports import are_reported, tell

REDACTED: Final = "[redacted]"
# A name with one of the first words at any position, or one of the second at its end, is that of a secret:
# `refresh_token` is one, `completion_tokens` and `token_type` are not.
SECRET_WORDS: Final = frozenset({"authorization", "cookie", "cookies", "password", "passwords", "secret", "secrets"})
SECRET_LAST_WORDS: Final = frozenset({"key", "token"})
NOT_SECRET: Final = frozenset({"idempotency_key"})
# Secrets inside text: a header, an API key, a JSON web token, the password in the address of a database.
SECRET_TEXT: Final = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\b(cb_[\w-]{1,64}_)[\w-]{43}"), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), REDACTED),
    (re.compile(r"(\b[\w+]+://[^\s:/@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
)
# Control characters other than tab and line feed. A terminal would obey them, and a path of a request can contain them.
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
MAX_DEPTH: Final = 6
OUTAGE_INTERVAL_S: Final = 60.0
"""How often the same outage of the database is logged, in seconds."""

# Libraries that log every request, or what chatbill logs itself.
QUIET: Final = ("uvicorn.access", "httpx", "httpx2", "httpcore", "uvicorn.error", "alembic", "filelock", "urllib3")


MAX_EVENTS: Final = 1_000
MAX_VALUE_CHARS: Final = 500
OWN_LOGGERS: Final = "chatbill"
OTHERS_EVENT: Final = "library_message"
"""The name under which the events of libraries are kept, whose texts can quote anything."""
OTHERS_FACTS: Final = frozenset({"request_id", "user_id", "api_key_id", "error_type", "raised_at"})
UNKEPT: Final = frozenset({"event", "level", "logger", "timestamp", "exception", "exc_info", "stack", "instance"})


class LogBuffer:
    """Keeps the newest events of this process, at most `size`, after the secrets were removed.

    An error is kept as its type and the place where it was raised, because its text can quote what a person wrote.
    """

    def __init__(self, size: int = MAX_EVENTS) -> None:
        self._events: deque[LogEvent] = deque(maxlen=size)

    def newest(self) -> list[LogEvent]:
        """Return the events, newest first."""
        return list(self._events)[::-1]

    def keep(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Keep an event, and pass it on unchanged."""
        logger, is_own = str(event.get("logger", "")), str(event.get("logger", "")).startswith(OWN_LOGGERS)
        self._events.append(
            LogEvent(
                at=str(event.get("timestamp", "")),
                level=str(event.get("level", "")),
                logger=logger,
                event=str(event.get("event", ""))[:MAX_VALUE_CHARS] if is_own else OTHERS_EVENT,
                facts={
                    name: value if isinstance(value, int | float | None) else str(value)[:MAX_VALUE_CHARS]
                    for name, value in event.items()
                    if name not in UNKEPT and (is_own or name in OTHERS_FACTS)
                },
            )
        )
        return event


def log_buffer() -> LogBuffer:
    """Return what keeps the newest messages, which is that of the last call of `set_up_logs`."""
    return _buffers[-1]


_buffers: Final = deque([LogBuffer()], maxlen=1)


def set_up_logs(
    *,
    log_format: Literal["console", "json"] = "console",
    log_level: str = "INFO",
    stream: TextIO | None = None,
) -> LogBuffer:
    """Write the messages of structlog and of the standard library to `stream` (standard error) in one format.

    Each message has the time (ISO 8601, UTC), level, logger and the values of `structlog.contextvars`, such as
    `request_id`; in JSON also the instance, which is the host and the number of the process. Exceptions are data in
    JSON and a traceback on a console, without local variables, which may be secrets. Another call replaces the
    configuration. Returns what keeps the newest messages.
    """
    out, buffer = stream if stream is not None else sys.stderr, LogBuffer()
    shared = _shared_processors()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(OutageFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(log_format, out, buffer),
            ],
        )
    )
    logging.captureWarnings(capture=True)
    _replace_handlers(handler, log_level)
    _buffers.append(buffer)
    return buffer


def report_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Report an error, and pass it on unchanged. The text of a library can quote anything, so it has no name."""
    if are_reported(str(event.get("level"))):
        logger = str(event.get("logger", ""))
        name = str(event.get("event", "")) if logger.startswith(OWN_LOGGERS) else OTHERS_EVENT
        tell(name, logger, redact(None, "", event), _error_of(event))
    return event


class OutageFilter(logging.Filter):
    """Logs an outage of the database, such as a full disk, as one line a minute and without a traceback.

    Each request fails for the same reason meanwhile. The next line says how many were left out (`repeated`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a line that says nothing new."""
        error = _outage(record)
        if error is None:
            return True
        outage, now = error.advice.code if error.advice else type(error).__name__, self._clock()
        with self._lock:
            logged_at, repeated = self._logged.get(outage, (-OUTAGE_INTERVAL_S, 0))
            if is_new := now - logged_at >= OUTAGE_INTERVAL_S:
                self._logged[outage] = (now, 0)
            else:
                self._logged[outage] = (logged_at, repeated + 1)
        facts = {"cause": str(error)} | ({"repeated": repeated} if repeated else {})
        if isinstance(record.msg, dict):
            record.msg = {name: value for name, value in record.msg.items() if name != "exc_info"} | facts
        record.exc_info = None
        record.__dict__.update(facts)
        return is_new


def _outage(record: logging.LogRecord) -> StoreUnavailable | None:
    """Return the outage that a message of structlog or of the standard library reports."""
    given: object = record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info
    error = sys.exception() if given is True else given[1] if isinstance(given, tuple) else given
    while isinstance(error, BaseException):
        if isinstance(error, StoreUnavailable):
            return error
        error = error.__cause__
    return None


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every value with the name of a secret, and every known form of a secret inside text."""
    return {name: _clean(name, value) for name, value in event.items()}


def escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write control characters as escapes. The renderer does it itself for values that are not strings."""
    return {name: value.translate(CONTROLS) if isinstance(value, str) else value for name, value in event.items()}


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def name_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the type of an exception, and the place where it was raised."""
    if (error := _error_of(event)) is not None:
        event["error_type"] = type(error).__name__
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        if trace:
            event["raised_at"] = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
    return event


def _error_of(event: EventDict) -> BaseException | None:
    given = event.get("exc_info")
    error = sys.exception() if given is True else given[1] if isinstance(given, tuple) else given
    return error if isinstance(error, BaseException) else None


@cache
def instance() -> str:
    """Return the name of this process among those of one service: its host and its number."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _add_instance(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["instance"] = instance()
    return event


def _rendering(log_format: str, out: TextIO, buffer: LogBuffer) -> Iterator[Processor]:
    yield name_error
    yield report_error
    if log_format == "json":
        yield _add_instance
        yield structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=50)
        )
        yield redact
        yield buffer.keep
        yield structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)
    else:
        yield structlog.processors.format_exc_info
        yield redact
        yield escape_controls
        yield buffer.keep
        yield structlog.dev.ConsoleRenderer(colors=out.isatty())


def _replace_handlers(handler: logging.Handler, level: str) -> None:
    """Make `handler` the only handler, and remove those of libraries."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.disabled = False
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _is_secret(name: str) -> bool:
    words = re.split(r"[\W_]+", name.lower())
    return "_".join(words) not in NOT_SECRET and (words[-1] in SECRET_LAST_WORDS or not SECRET_WORDS.isdisjoint(words))


def _clean(name: str, value: object, depth: int = 0) -> object:
    if _is_secret(name) and value is not None and not isinstance(value, bool):
        return REDACTED
    if isinstance(value, str):
        for pattern, replacement in SECRET_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {key: _clean(str(key), inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [_clean(name, inner, depth + 1) for inner in value]
    return value
