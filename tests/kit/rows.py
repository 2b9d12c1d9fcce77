"""Rows to fill a store with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbill.application.billing.postings import keep_hold, keep_posting
from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.api_keys import ApiKey
from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.billing.codes import RedeemCode
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.payments import Money, Payment
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Capture, Posting, Promise, Wallet
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.monitoring.alerts import Alert, AlertKind, Severity
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import (
    AlertId,
    ApiKeyId,
    AuditRecordId,
    CodeId,
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    JobId,
    ModelId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ALICE, BOB = UserId("alice"), UserId("bob")
PURSE = WalletId("wallet-alice")
TALK = ConversationId("talk")


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


def new_wallet(name: str = "alice", **changes: Any) -> Wallet:
    """The empty wallet of a user of this name."""
    fields: dict[str, Any] = {"id": WalletId(f"wallet-{name}"), "owner": Owner(USER, name)}
    return Wallet(**fields | changes)


def session(name: str = "session", **changes: Any) -> Session:
    fields: dict[str, Any] = {
        "id": SessionId(name),
        "user_id": ALICE,
        "created_at": NOON,
        "expires_at": later(3_600),
    }
    return Session(**fields | changes)


def second_factor(user_id: UserId = ALICE, **changes: Any) -> SecondFactor:
    """A second factor that was confirmed, with two recovery codes left."""
    fields: dict[str, Any] = {
        "user_id": user_id,
        "sealed_secret": "sealed",
        "created_at": NOON,
        "confirmed_at": NOON,
        "last_step": 7,
        "recovery_digests": ("one", "two"),
    }
    return SecondFactor(**fields | changes)


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


def code(name: str = "code", **changes: Any) -> RedeemCode:
    fields: dict[str, Any] = {
        "id": CodeId(name),
        "digest": f"digest-{name}",
        "credits": 50,
        "uses": 2,
        "created_at": NOON,
        "created_by": ALICE,
    }
    return RedeemCode(**fields | changes)


def audit_record(name: str = "record", **changes: Any) -> AuditRecord:
    fields: dict[str, Any] = {
        "id": AuditRecordId(name),
        "at": NOON,
        "action": AuditAction.CREDITS_ADJUSTED,
        "actor": ALICE,
        "subject_kind": USER,
        "subject_id": "bob",
        "address": "192.0.2.7",
        "request_id": "r-1",
        "before": {"balance": 5},
        "after": {"balance": 9},
        "reason": "Sorry",
    }
    return AuditRecord(**fields | changes)


def job(name: str = "job", **changes: Any) -> Job:
    fields: dict[str, Any] = {"id": JobId(name), "kind": "a", "created_at": NOON, "due_at": NOON}
    return Job(**fields | changes)


def alert(name: str = "alert", **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": AlertId(name),
        "kind": AlertKind.MODEL_UNHEALTHY,
        "subject": "demo-mini",
        "source": "process:a",
        "severity": Severity.CRITICAL,
        "evidence": {"reason": "model_silent"},
        **dict.fromkeys(("opened_at", "seen_at", "notified_at"), NOON),
    }
    return Alert(**fields | changes)


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


def grant(wallet: Wallet, amount: int = 100, *, at: datetime = NOON) -> Posting:
    entry_id = EntryId(f"{wallet.id}-{wallet.version + 1}")
    return wallet.grant(amount, entry_id=entry_id, at=at, cause=Cause(description=Description.of("welcome_credits")))


def add_person(tx: Transaction, name: str = "alice", credits_: int = 100) -> Wallet:
    """Somebody with credits and one conversation, called `talk` if it is Alice's."""
    person = user(name)
    empty = new_wallet(name)
    tx.wallets.add(empty)
    tx.users.add(person)
    keep_posting(tx, posting := grant(empty, credits_))
    tx.conversations.add(conversation("talk" if name == "alice" else f"talk-{name}", user_id=person.id))
    return posting.wallet


def add_running(tx: Transaction, name: str = "first", **changes: Any) -> Hold:
    """An interaction that runs, and its hold of 5 credits."""
    running = interaction(name, **changes)
    hold = keep_hold(tx, promise(tx.wallets.lock(running.wallet_id), running))
    tx.interactions.add(running)
    return hold


def promise(
    wallet: Wallet, running: Interaction, amount: int | None = None, *, expires_at: datetime | None = None
) -> Promise:
    """The hold of an interaction that begins now, and its wallet."""
    return wallet.hold(
        running.hold_id,
        running.held if amount is None else amount,
        subject=running.subject,
        purpose=running.purpose,
        at=running.created_at,
        expires_at=expires_at or later(60),
    )


def charge(tx: Transaction, name: str = "first", amount: int = 4, *, reply: str = "Paris.") -> Capture:
    """The end of a running interaction as a completed one, which costs `amount` credits."""
    running = tx.interactions.get(InteractionId(name))
    assert running is not None
    wallet, hold = tx.wallets.lock(running.wallet_id), tx.holds.get(running.hold_id)
    assert hold is not None
    captured = wallet.capture(hold, amount, entry_id=EntryId(f"charge-{name}"), at=later(2))
    ended = running.ended(
        Outcome.COMPLETED,
        at=later(2),
        reply=reply,
        usage=Usage(prompt_tokens=7, completion_tokens=2),
        credits_charged=amount,
        balance_after=captured.wallet.posted,
    )
    tx.interactions.save(ended)
    tx.holds.save(captured.hold)
    keep_posting(tx, Posting(captured.wallet, captured.entry))
    return captured
