"""Translates PostgreSQL's errors for the application, by their codes, because their texts are in any language."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from chatbill.adapters.persistence.sql.errors import TAKEN
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError, InvariantViolation

RETRIED = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: nothing was kept, and the transaction may be retried."""

_ADVICE = {
    "08": "The connection to the database was lost. Try again in a moment.",
    "25006": "The database cannot be written to now. It may be a standby server, or a snapshot tried to change it.",
    "25P03": "The database gave up a transaction that had been idle for too long.",
    "28": "The database refuses this user or password. Check CHATBILL_DATABASE_URL.",
    "3D": "There is no such database. Make it with `createdb`, or check CHATBILL_DATABASE_URL.",
    "3F": "The database has no tables yet. Run `chatbill db upgrade`.",
    "42501": "The database's user may not do this. Make it the owner of the tables.",
    "42703": "The database is older than this program. Run `chatbill db upgrade`.",
    "42P01": "The database has no tables yet. Run `chatbill db upgrade`.",
    "53100": "The database's disk is full. Free some space; nothing that was confirmed is lost.",
    "53300": "The database has no connection left. Raise its max_connections, or run fewer processes.",
    "55P03": "Another transaction has held what this one needs for too long. Try again in a moment.",
    "57014": "The database took too long over a statement. Try again in a moment.",
    "57P": "The database is stopping or starting. Try again in a moment.",
}
"""Advice by an error's code, or by the beginning of it."""

LOST = "The connection to the database was lost. Try again in a moment."
REFUSED = (
    "The database server refuses the connection. Check database, user and password in CHATBILL_DATABASE_URL, and how "
    "many connections the server allows."
)
UNREACHABLE = "The database server cannot be reached. Check that it runs, and the address in CHATBILL_DATABASE_URL."


def translated(error: Exception, driver: ModuleType) -> ChatbillError:
    """Return the application's error: a violation is a bug or a taken name, anything else is `StoreUnavailable`.

    The values of rows are removed from the error, because errors are logged.
    """
    code, words = _code(error), first_line(error)
    error.args = (words,)
    if isinstance(error, driver.IntegrityError):
        taken = TAKEN.get(_diagnosis(error, "constraint_name"))
        return taken() if taken else InvariantViolation(words)
    advice = _advice(code)
    if advice is None and isinstance(error, driver.DataError | driver.NotSupportedError | driver.ProgrammingError):
        return InvariantViolation(f"the database does not understand this: {words}")
    if advice is None and not code:
        advice = LOST
    return StoreUnavailable(f"{advice or 'The database failed.'} ({words})", advice=advice or "")


def unreachable(error: Exception) -> StoreUnavailable:
    """Return the reason why no connection could be made, with advice for the operator."""
    words = first_line(error)
    # An answer from a server says FATAL in any language; libpq gives only the text of it.
    advice = _advice(_code(error)) or (REFUSED if "FATAL" in words else UNREACHABLE)
    return StoreUnavailable(f"{advice} ({words})", advice=advice)


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
