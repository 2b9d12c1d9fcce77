"""Translates the errors of a database driver for the application."""

from __future__ import annotations

from types import ModuleType

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError, EmailTaken, InvariantViolation, UsernameTaken

# SQLite names the columns of a broken unique key, PostgreSQL its constraint.
TAKEN: dict[str, type[UsernameTaken | EmailTaken]] = {
    "users.username_key": UsernameTaken,
    "uq_users_username_key": UsernameTaken,
    "users.email_key": EmailTaken,
    "uq_users_email_key": EmailTaken,
}

_ADVICE = {
    "is full": "The disk is full. Free some space; nothing that was confirmed is lost.",
    "no such table": "The database has no tables yet. Run `chatbill db upgrade`.",
    "no such column": "The database is older than this program. Run `chatbill db upgrade`.",
    "locked": "Another process has held the database for too long. Try again in a moment.",
    "malformed": "The database file is damaged. Restore it from a backup.",
    "not a database": "The database file is damaged, or is no database at all. Restore it from a backup.",
    "disk I/O error": "The disk does not take or give what it should. Look for its errors in the system's log.",
    "readonly": "The database cannot be written to. Check the permissions of its file and folder.",
    "unable to open": "The database file cannot be opened. Check its folder and the permissions of both.",
}


def translated(error: Exception, driver: ModuleType) -> ChatbillError:
    """Return the application's error: a violation is a bug or a taken name, anything else is `StoreUnavailable`."""
    words = str(error)
    if isinstance(error, driver.IntegrityError):
        for key, taken in TAKEN.items():
            if key in words:
                return taken()
        return InvariantViolation(words)
    if isinstance(error, driver.DataError | driver.InterfaceError | driver.NotSupportedError | driver.ProgrammingError):
        return InvariantViolation(f"the database does not understand this: {words}")
    return unavailable(error)


def unavailable(error: Exception) -> StoreUnavailable:
    """Return a failure of the database with advice for the operator."""
    words = str(error)
    advice = next((advice for sign, advice in _ADVICE.items() if sign in words), None)
    return StoreUnavailable(f"{advice} ({words})", advice=advice) if advice else StoreUnavailable(_failed(words))


def _failed(words: str) -> str:
    return f"The database failed: {words}"
