"""Reads the address of a database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_MAY_HAVE_AT_SIGN = frozenset(
    {"application_name", "options", "passfile", "password", "sslcert", "sslkey", "sslrootcert", "user"}
)
"""Parameters of libpq whose value may contain an @."""

_FORMS = "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file."""
    return URL.create("sqlite", database=str(path.absolute())).render_as_string(hide_password=False)


def parsed(url: str) -> URL:
    """Parse an address. Errors do not repeat it, because it may contain a password."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"The database's address must look like {_FORMS}.") from None
    if is_postgres(address) and _is_ambiguous(url, address):
        raise ValueError(
            "The database's address has an @, / or ? that makes it ambiguous. Within the user's name and the password, "
            "write @ as %40, / as %2F, ? as %3F and % as %25."
        )
    return address


def _is_ambiguous(url: str, address: URL) -> bool:
    """Return True if the part after the last @ is not the server, so that an error could quote the password."""
    place = url.partition("://")[2].partition("?")[0]
    server = place if address.username is None else place.rpartition("@")[2]
    if "@" in server or place.count("@") > 1:
        return True
    return any("@" in str(value) for name, value in address.query.items() if name not in _MAY_HAVE_AT_SIGN)


def check_address(url: str) -> None:
    """Raise `ValueError`, with advice for the operator, unless there is a store for the address."""
    address = parsed(url)
    if not is_postgres(address):
        sqlite_path(address)


def is_postgres(address: URL) -> bool:
    """Return True for an address of PostgreSQL, with any driver."""
    return address.get_backend_name() == "postgresql"


def sqlite_path(address: URL) -> Path:
    """Return the file that an SQLite address names."""
    if address.get_backend_name() != "sqlite":
        raise ValueError(f"There is no store for {address.get_backend_name()} databases; use {_FORMS}.")
    if not address.database or address.database.startswith((":", "file:")) or address.query:
        raise ValueError("The address of an SQLite database must name a file, as in sqlite:////folder/file.sqlite3.")
    return Path(address.database)
