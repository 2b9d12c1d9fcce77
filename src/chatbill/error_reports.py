"""Tells reporters of errors, such as Sentry, what the log has of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

ErrorReporter: TypeAlias = Callable[[str, str, Mapping[str, Any], BaseException | None], None]
"""Is told of an error: the event, the logger, its facts without secrets, and the exception if there is one."""
REPORTED: Final = frozenset({"error", "critical"})
"""The levels of events that are reported."""

_reporters: Final[list[ErrorReporter]] = []


@contextmanager
def reporting_errors(reporter: ErrorReporter | None) -> Iterator[None]:
    """Tell the reporter of each error that is logged within the block."""
    told = [reporter] if reporter else []
    _reporters.extend(told)
    try:
        yield
    finally:
        for each in told:
            _reporters.remove(each)


def are_reported(level: str) -> bool:
    """Return whether somebody is told of events of this level."""
    return bool(_reporters) and level in REPORTED


def tell(event: str, logger: str, facts: Mapping[str, Any], error: BaseException | None) -> None:
    """Tell all reporters. None can make the log fail."""
    for reporter in tuple(_reporters):
        with suppress(Exception):
            reporter(event, logger, facts, error)
