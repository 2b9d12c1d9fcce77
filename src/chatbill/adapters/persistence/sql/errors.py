"""Translates the errors of a database driver for the application."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError, EmailTaken, InvariantViolation, UsernameTaken

# SQLite names the columns of a broken unique key, PostgreSQL its constraint.
TAKEN: dict[str, type[UsernameTaken | EmailTaken]] = {
    "users.username_key": UsernameTaken,
    "uq_users_username_key": UsernameTaken,
    "users.email_key": EmailTaken,
    "uq_users_email_key": EmailTaken,
}

_ADVICE: Final = {
    "is full": "disk_full",
    "no such table": "no_tables",
    "no such column": "schema_outdated",
    "locked": "database_locked",
    "malformed": "database_damaged",
    "not a database": "not_a_database",
    "disk I/O error": "disk_failing",
    "readonly": "database_read_only",
    "unable to open": "database_not_opened",
}
"""The code of what to do, by what SQLite says of an error."""


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
    if advice is None:
        return StoreUnavailable(f"The database failed: {words}")
    return StoreUnavailable(words, advice=Description(advice))
