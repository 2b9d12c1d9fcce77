"""Stores to hold to the contract, and rows to fill them with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.persistence import SqliteStore, open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.accounts.api_keys import ApiKey
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.payments import Money, Payment
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import (
    ApiKeyId,
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    ModelId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)
from tests.kit.postgres import shared

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALICE, BOB = UserId("alice"), UserId("bob")
PURSE = WalletId("wallet-alice")
TALK = ConversationId("talk")


@cache
def empty_database(prefix: str = "") -> Path:
    """Return an SQLite file with the newest schema, to be copied: running the migrations for each test takes longer."""
    path = Path(mkdtemp(prefix="chatbill-tests-")) / "empty.sqlite3"
    schema.upgrade(sqlite_url(path), prefix=prefix)
    return path


def fresh_database(folder: Path, prefix: str = "") -> Path:
    """Make a new database file in this folder."""
    return Path(shutil.copy(empty_database(prefix), folder / "chatbill.sqlite3"))


def memory(folder: Path) -> Store:
    return MemoryStore()


def sqlite(folder: Path) -> Store:
    return SqliteStore(fresh_database(folder))


def sqlite_with_prefix(folder: Path) -> Store:
    return SqliteStore(fresh_database(folder, "shop_"), prefix="shop_")


def postgres(folder: Path) -> Store:
    return open_store(shared().fresh())


def postgres_with_prefix(folder: Path) -> Store:
    return open_store(shared().fresh("shop_"), prefix="shop_")


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": memory,
    "sqlite": sqlite,
    "postgres": postgres,
    "sqlite with a prefix": sqlite_with_prefix,
    "postgres with a prefix": postgres_with_prefix,
}
EVERY_STORE = [pytest.param(name, marks=pytest.mark.postgres) if "postgres" in name else name for name in STORES]
"""The names of all stores, as parameters of a fixture."""


def later(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def user(name: str = "alice", **changes: Any) -> User:
    fields: dict[str, Any] = {
        "id": UserId(name),
        "username": name,
        "email": f"{name}@example.org",
        "password_hash": "hash",
        "role": UserRole.USER,
        "wallet_id": WalletId(f"wallet-{name}"),
        "created_at": NOON,
    }
    return User(**fields | changes)


def session(name: str = "session", **changes: Any) -> Session:
    fields: dict[str, Any] = {
        "id": SessionId(name),
        "user_id": ALICE,
        "created_at": NOON,
        "expires_at": later(3_600),
    }
    return Session(**fields | changes)


def api_key(id_: str = "ci", **changes: Any) -> ApiKey:
    fields: dict[str, Any] = {
        "id": ApiKeyId(id_),
        "user_id": ALICE,
        "name": id_.upper(),
        "digest": f"digest of {id_}",
        "created_at": NOON,
        "monthly_cap": 10,
    }
    return ApiKey(**fields | changes)


def conversation(name: str = "talk", **changes: Any) -> Conversation:
    fields: dict[str, Any] = {
        "id": ConversationId(name),
        "user_id": ALICE,
        "title": "A talk",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Conversation(**fields | changes)


def interaction(name: str = "first", **changes: Any) -> Interaction:
    fields: dict[str, Any] = {
        "id": InteractionId(name),
        "conversation_id": TALK,
        "user_id": ALICE,
        "wallet_id": PURSE,
        "hold_id": HoldId(f"hold-{name}"),
        "model": ModelId("demo-mini"),
        "price": Price(per_reply=3, per_1k_completion_tokens=2),
        "held": 5,
        "prompt": "What is the capital of France?",
        "created_at": NOON,
    }
    return Interaction(**fields | changes)


def payment(name: str = "payment", **changes: Any) -> Payment:
    fields: dict[str, Any] = {
        "id": PaymentId(name),
        "user_id": ALICE,
        "wallet_id": PURSE,
        "package": "small",
        "credits": 100,
        "price": Money(Decimal("4.99"), "EUR"),
        "provider": "sandbox",
        "created_at": NOON,
    }
    return Payment(**fields | changes)


def grant(wallet: Wallet, amount: int = 100, *, at: datetime = NOON) -> LedgerEntry:
    entry_id = EntryId(f"{wallet.id}-{wallet.version + 1}")
    return wallet.grant(amount, entry_id=entry_id, at=at, cause=Cause(description="Welcome credits"))


def add_person(tx: Transaction, name: str = "alice", credits_: int = 100) -> Wallet:
    """Somebody with credits and one conversation, called `talk` if it is Alice's."""
    person = user(name)
    wallet = Wallet(id=person.wallet_id)
    tx.wallets.add(wallet)
    tx.users.add(person)
    tx.ledger.append(grant(wallet, credits_))
    tx.wallets.save(wallet)
    tx.conversations.add(conversation("talk" if name == "alice" else f"talk-{name}", user_id=person.id))
    return wallet


def add_running(tx: Transaction, name: str = "first", **changes: Any) -> Hold:
    """An interaction that runs, and its hold of 5 credits."""
    running = interaction(name, **changes)
    wallet = tx.wallets.lock(running.wallet_id)
    hold = wallet.hold(running.hold_id, running.held, at=running.created_at, expires_at=later(60))
    tx.wallets.save(wallet)
    tx.holds.add(hold)
    tx.interactions.add(running)
    return hold


@dataclass(frozen=True)
class Charge:
    """What a charge leaves behind."""

    hold: Hold
    entry: LedgerEntry
    wallet: Wallet


def charge(tx: Transaction, name: str = "first", amount: int = 4, *, reply: str = "Paris.") -> Charge:
    """The end of a running interaction as a completed one, which costs `amount` credits."""
    running = tx.interactions.get(InteractionId(name))
    assert running is not None
    wallet, hold = tx.wallets.lock(running.wallet_id), tx.holds.get(running.hold_id)
    assert hold is not None
    cause = Cause(description="Reply", hold_id=hold.id, interaction_id=running.id)
    entry = wallet.capture(hold, amount, entry_id=EntryId(f"charge-{name}"), at=later(2), cause=cause)
    running.finish(
        Outcome.COMPLETED,
        at=later(2),
        reply=reply,
        usage=Usage(prompt_tokens=7, completion_tokens=2),
        credits_charged=amount,
        balance_after=wallet.posted,
    )
    tx.ledger.append(entry)
    tx.holds.save(hold)
    tx.wallets.save(wallet)
    tx.interactions.save(running)
    return Charge(hold, entry, wallet)
