"""Translates PostgreSQL's errors for the application, by their codes, because their texts are in any language."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from chatbill.adapters.persistence.sql.errors import TAKEN
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError, InvariantViolation

RETRIED = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: nothing was kept, and the transaction may be retried."""

_ADVICE = {
    "08": "connection_lost",
    "25006": "server_read_only",
    "25P03": "transaction_idle",
    "28": "login_refused",
    "3D": "database_missing",
    "3F": "no_tables",
    "42501": "permission_missing",
    "42703": "schema_outdated",
    "42P01": "no_tables",
    "53100": "server_disk_full",
    "53300": "no_connection_left",
    "55P03": "lock_timeout",
    "57014": "statement_timeout",
    "57P": "server_restarting",
}
"""The code of what to do, by the SQLSTATE of an error or the beginning of it."""

LOST = "connection_lost"
REFUSED = "connection_refused"
UNREACHABLE = "server_unreachable"


def translated(error: Exception, driver: ModuleType) -> ChatbillError:
    """Return the application's error: a violation is a bug or a taken name, anything else is `StoreUnavailable`.

    The values of rows are removed from the error, because errors are logged.
    """
    code, words = _code(error), first_line(error)
    error.args = (words,)
    if isinstance(error, driver.IntegrityError):
        constraint = _diagnosis(error, "constraint_name")
        # It may have a prefix.
        taken = next((taken for key, taken in TAKEN.items() if constraint.endswith(key)), None)
        return taken() if taken else InvariantViolation(words)
    advice = _advice(code)
    if advice is None and isinstance(error, driver.DataError | driver.NotSupportedError | driver.ProgrammingError):
        return InvariantViolation(f"the database does not understand this: {words}")
    if advice is None and not code:
        advice = LOST
    if advice is None:
        return StoreUnavailable(f"The database failed. ({words})")
    return StoreUnavailable(words, advice=Description(advice))


def unreachable(error: Exception) -> StoreUnavailable:
    """Return the reason why no connection could be made, with advice for the operator."""
    words = first_line(error)
    # An answer from a server says FATAL in any language; libpq gives only the text of it.
    advice = _advice(_code(error)) or (REFUSED if "FATAL" in words else UNREACHABLE)
    return StoreUnavailable(words, advice=Description(advice))


def asks_for_another_try(error: BaseException | None) -> bool:
    """Return True if the server said that the same transaction may succeed next time."""
    return _code(error) in RETRIED


def is_passing(error: BaseException | None) -> bool:
    """Return True if the failure concerns a statement or a lock, and the connection is still usable."""
    return _code(error) in RETRIED | {"55P03", "57014"}


def first_line(error: Exception) -> str:
    """Return the error's message without the values of the row."""
    words = _diagnosis(error, "message_primary") or str(error)
    return words.partition("\n")[0].strip() or type(error).__name__


def _advice(code: str) -> str | None:
    return next((advice for sign, advice in _ADVICE.items() if code.startswith(sign)), None) if code else None


def _code(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _diagnosis(error: Exception, field: str) -> str:
    diagnosis: Any = getattr(error, "diag", None)
    return getattr(diagnosis, field, None) or ""
