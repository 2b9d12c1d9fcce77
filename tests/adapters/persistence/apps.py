"""An app with tables of its own in the database that chatbill has tables in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, ForeignKey, create_engine, make_url, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from chatbill.adapters.persistence import open_store, prepare_engine, sqlite_module
from chatbill.domain.audit.proof import Difference
from tests.kit.rows import PURSE
from tests.kit.support import world

PREFIX = "chatbill_"


class Base(DeclarativeBase):
    """The app's own tables."""


class Customer(Base):
    __tablename__ = "users"
    name: Mapped[str] = mapped_column(primary_key=True)


class Picture(Base):
    __tablename__ = "pictures"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("users.name"))


@dataclass
class App:
    """An app's database, in which chatbill has tables too, and Alice has 100 credits."""

    url: str
    engine: Engine

    @property
    def pictures(self) -> list[str]:
        with Session(self.engine) as session:
            return sorted(session.scalars(select(Picture.id)))

    async def balance(self) -> int:
        """Return what Alice owns, once the ledger is found to have no difference."""
        store, found = open_store(self.url, prefix=PREFIX), list[Difference]()
        await world(store=store).use_cases.audit.verify_ledger(found.append)
        wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
        await store.close()
        assert found == []
        assert wallet
        assert wallet.held == 0
        return wallet.posted


def app_engine(url: str) -> Engine:
    """Return an engine as an app makes it."""
    if url.startswith("sqlite"):
        engine = create_engine(url, module=sqlite_module())
    else:
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    prepare_engine(engine)
    return engine
