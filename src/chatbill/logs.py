"""Logs: one pipeline for chatbill and its libraries, for people or for machines, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED: Final = "[redacted]"
# Words that make a name a secret's wherever they stand in it, and those that do so at its end: `completion_tokens`
# and `token_type` are figures, `refresh_token` is a secret.
SECRET_WORDS: Final = frozenset({"authorization", "cookie", "cookies", "password", "passwords", "secret", "secrets"})
SECRET_ENDS: Final = frozenset({"key", "token"})
HARMLESS: Final = frozenset({"idempotency_key"})
# Secrets inside of text: a header, a JSON web token, the password of a database's address.
SECRET_TEXT: Final = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), REDACTED),
    (re.compile(r"(\b[\w+]+://[^\s:/@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
)
MAX_DEPTH: Final = 6

# These say on INFO what chatbill's own log says better, or say it for every request.
QUIET: Final = ("uvicorn.access", "httpx", "httpx2", "httpcore", "uvicorn.error", "alembic", "filelock", "urllib3")


def set_up_logs(
    *,
    log_format: Literal["console", "json"] = "console",
    log_level: str = "INFO",
    stream: TextIO | None = None,
) -> None:
    """Send structlog's and the standard library's messages to `stream` (standard error), in one form.

    Each message carries the time (ISO 8601, UTC), level, logger and what `structlog.contextvars` holds, such as
    `request_id`; exceptions are data in JSON and a traceback on a console, without local variables: they may hold
    secrets. May be called again; the last call counts.
    """
    out = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
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
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(log_format, out)],
        )
    )
    logging.captureWarnings(capture=True)
    _one_handler(handler, log_level)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every value whose name says that it is a secret, and every secret that text is known to carry."""
    return {name: _clean(name, value) for name, value in event.items()}


def _rendering(log_format: str, out: TextIO) -> Iterator[Processor]:
    if log_format == "json":
        yield structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=50)
        )
        yield redact
        yield structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)
    else:
        yield structlog.processors.format_exc_info
        yield redact
        yield structlog.dev.ConsoleRenderer(colors=out.isatty())


def _one_handler(handler: logging.Handler, level: str) -> None:
    """Make `handler` the only one: whatever libraries have set up for themselves is taken away."""
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
    return "_".join(words) not in HARMLESS and (words[-1] in SECRET_ENDS or not SECRET_WORDS.isdisjoint(words))


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
