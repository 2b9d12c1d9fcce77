"""The adapters that the container makes from the address of the database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatbill.application.ports.metrics import Metrics
from chatbill.application.ports.store import Store
from chatbill.domain.audit.proof import Tally
from chatbill.monitors import observed
from chatbill.settings import Settings, SettingsError

if TYPE_CHECKING:
    # Each brings packages that a command without it should not wait for; see the functions below.
    from chatbill.adapters.persistence.facts import DatabaseFacts
    from chatbill.adapters.persistence.sqlite.backup import Copy


def database_address(settings: Settings) -> str:
    """Return the address of the database. Raises an error if no store exists for it."""
    from chatbill.adapters.persistence import check_address  # noqa: PLC0415

    try:
        check_address(settings.database)
    except ValueError as error:
        raise SettingsError(f"CHATBILL_DATABASE_URL: {error}") from None
    return settings.database


def make_store(database: str, prefix: str, metrics: Metrics) -> Store:
    """Return the store, whose work the metrics count."""
    from chatbill.adapters.persistence import open_store  # noqa: PLC0415

    return observed(open_store(database, prefix=prefix), metrics)


def make_probe_store(database: str, prefix: str, store: Store) -> Store | None:
    """Return a store with connections of its own for probes; None where those of the store do."""
    from chatbill.adapters.persistence import open_probe_store  # noqa: PLC0415

    return open_probe_store(database, store, prefix=prefix)


@dataclass(frozen=True, slots=True)
class Schema:
    """Reads, checks and upgrades the schema of one database."""

    url: str
    prefix: str

    def upgrade(self) -> None:
        """Upgrade the schema to this version, or make it if there is none. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        schema.upgrade(self.url, prefix=self.prefix)

    def check(self) -> None:
        """Raise `StoreUnavailable` unless the schema exists and is the one that this version needs."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        schema.check(self.url, prefix=self.prefix)

    def current(self) -> str | None:
        """Return the revision of the schema; None if there is no schema yet."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        return schema.current(self.url, prefix=self.prefix)

    def head(self) -> str:
        """Return the revision that this version needs."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        return schema.head()

    def advice(self) -> str:
        """Return what to do about the revision of the schema; nothing where it is that of this version."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        return schema.advice(self.url, prefix=self.prefix)


@dataclass(frozen=True, slots=True)
class DatabaseCopies:
    """Makes copies of one database, and restores them."""

    url: str
    prefix: str

    def make(self, target: Path, *, force: bool) -> Copy:
        """Copy the database to a file while it is in use, and audit the copy. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sqlite import backup  # noqa: PLC0415

        return backup.backup(self.url, target, force=force, prefix=self.prefix)

    def restore(self, source: Path, *, force: bool) -> Tally:
        """Verify the ledger of a copy, then replace the database with the copy. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sqlite import backup  # noqa: PLC0415

        return backup.restore(self.url, source, force=force, prefix=self.prefix)


def facts_of_database(url: str) -> DatabaseFacts:
    """Return the version and the clock of the database."""
    from chatbill.adapters.persistence.facts import database_facts  # noqa: PLC0415

    return database_facts(url)


def make_service_lock(url: str, prefix: str) -> AbstractContextManager[None]:
    """Return what keeps a second service off the same file."""
    from chatbill.adapters.persistence.sqlite.service_lock import service_lock  # noqa: PLC0415

    return service_lock(url, prefix=prefix)
