"""Repositories over tables in memory. They refuse what the constraints of a database would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from chatbill.adapters.memory.api_keys import MemoryApiKeys
from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories import HeldWork, HistoryFilter, Period, Position
from chatbill.domain.audit import KeyUse, Purchase, Settlement
from chatbill.domain.chat import Conversation, Interaction, Outcome, Role, Turn
from chatbill.domain.errors import AlreadySettled, BrokenBooks, EmailTaken, NotFound, UsernameTaken
from chatbill.domain.idempotency import IdempotencyRecord
from chatbill.domain.ids import (
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)
from chatbill.domain.ledger import EntryKind, LedgerEntry
from chatbill.domain.payments import Payment, PaymentStatus
from chatbill.domain.sessions import RefreshToken, Session
from chatbill.domain.users import User
from chatbill.domain.wallets import Hold, HoldState, Wallet

T = TypeVar("T")


def _insert(table: Table[str, T], key: str, row: T) -> None:
    if table.get(key) is not None:
        raise BrokenBooks(f"{type(row).__name__} {key} exists already")
    table.put(key, row)


def _replace(table: Table[str, T], key: str, row: T) -> None:
    if table.get(key) is None:
        raise BrokenBooks(f"{type(row).__name__} {key} does not exist")
    table.put(key, row)


def _newest(rows: Iterable[T], place: Callable[[T], tuple[datetime, str]], after: Position | None) -> list[T]:
    ordered = sorted(rows, key=place, reverse=True)
    return ordered if after is None else [row for row in ordered if place(row) < (after.at, after.id)]


def _within(moment: datetime, period: Period) -> bool:
    return (period.start is None or moment >= period.start) and (period.end is None or moment < period.end)


class MemoryUsers:
    """Users, unique by name and by address; both keys share one space, since either signs a person in."""

    def __init__(self) -> None:
        self.table: Table[str, User] = Table()

    def get(self, user_id: UserId) -> User | None:
        return self.table.get(user_id)

    lock = get

    def by_login(self, key: str) -> User | None:
        return next((user for user in self.table.rows() if key in {user.username_key, user.email_key}), None)

    def add(self, user: User) -> None:
        for other in self.table.rows():
            if other.username_key == user.username_key:
                raise UsernameTaken
            if other.email_key == user.email_key:
                raise EmailTaken
        _insert(self.table, user.id, user)

    def save(self, user: User) -> None:
        _replace(self.table, user.id, user)


class MemorySessions:
    """Sessions and their refresh tokens."""

    def __init__(self) -> None:
        self.table: Table[str, Session] = Table()
        self.tokens: Table[str, RefreshToken] = Table()

    def get(self, session_id: SessionId) -> Session | None:
        return self.table.get(session_id)

    lock = get

    def token(self, digest: str) -> RefreshToken | None:
        return self.tokens.get(digest)

    def add(self, session: Session) -> None:
        _insert(self.table, session.id, session)

    def save(self, session: Session) -> None:
        _replace(self.table, session.id, session)

    def live_of(self, user_id: UserId) -> list[Session]:
        return [session for session in self.table.rows() if session.user_id == user_id and session.ended_at is None]

    def add_token(self, token: RefreshToken) -> None:
        _insert(self.tokens, token.digest, token)

    def save_token(self, token: RefreshToken) -> None:
        _replace(self.tokens, token.digest, token)

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        old = [session.id for session in self.table.rows() if session.expires_at < expired_before][:limit]
        for session_id in old:
            self.table.remove(session_id)
        for token in list(self.tokens.rows()):
            if token.session_id in old:
                self.tokens.remove(token.digest)
        return len(old)


class MemoryWallets:
    """Wallets that can neither promise more than they own nor less than nothing."""

    def __init__(self) -> None:
        self.table: Table[str, Wallet] = Table()

    def get(self, wallet_id: WalletId) -> Wallet | None:
        return self.table.get(wallet_id)

    def lock(self, wallet_id: WalletId) -> Wallet:
        wallet = self.table.get(wallet_id)
        if wallet is None:
            raise NotFound("This wallet")
        return wallet

    def add(self, wallet: Wallet) -> None:
        self._check(wallet)
        _insert(self.table, wallet.id, wallet)

    def save(self, wallet: Wallet) -> None:
        self._check(wallet)
        _replace(self.table, wallet.id, wallet)

    @staticmethod
    def _check(wallet: Wallet) -> None:
        if wallet.held < 0 or wallet.available < -wallet.overdraft:
            raise BrokenBooks(f"wallet {wallet.id} cannot own {wallet.posted} and hold {wallet.held}")


class MemoryHolds:
    """Holds that are settled once."""

    def __init__(self) -> None:
        self.table: Table[str, Hold] = Table()
        self.works: Callable[[], Iterator[Interaction]] = lambda: iter(())

    def get(self, hold_id: HoldId) -> Hold | None:
        return self.table.get(hold_id)

    def due(self, now: datetime, limit: int) -> list[HeldWork]:
        due = [hold for hold in self.table.rows() if hold.is_pending and hold.expires_at <= now]
        due.sort(key=lambda hold: (hold.expires_at, hold.id))
        interactions = {interaction.hold_id: interaction for interaction in self.works()}
        return [HeldWork(interactions[hold.id], hold) for hold in due if hold.id in interactions][:limit]

    def add(self, hold: Hold) -> None:
        if hold.amount < 0:
            raise BrokenBooks(f"hold {hold.id} cannot be of {hold.amount}")
        _insert(self.table, hold.id, hold)

    def save_refund(self, hold: Hold) -> None:
        stored = self.table.get(hold.id)
        if stored is None or not stored.refunded < hold.refunded <= stored.captured:
            raise BrokenBooks(f"hold {hold.id} cannot be refunded for {hold.refunded}")
        stored.refunded = hold.refunded
        self.table.put(hold.id, stored)

    def save(self, hold: Hold) -> None:
        stored = self.table.get(hold.id)
        if stored is None or not stored.is_pending:
            raise BrokenBooks(f"hold {hold.id} is not pending")
        if not 0 <= hold.captured <= stored.amount:
            raise BrokenBooks(f"hold {hold.id} of {stored.amount} cannot be captured for {hold.captured}")
        self.table.put(hold.id, hold)


class MemoryLedger:
    """Entries that are appended and never touched again."""

    def __init__(self) -> None:
        self.table: Table[str, LedgerEntry] = Table()
        self._versions: Table[tuple[WalletId, int], EntryId] = Table()
        self._charges: Table[HoldId, EntryId] = Table()

    def get(self, entry_id: EntryId) -> LedgerEntry | None:
        return self.table.get(entry_id)

    def append(self, entry: LedgerEntry) -> None:
        version = (entry.wallet_id, entry.wallet_version)
        if self._versions.get(version) is not None:
            raise BrokenBooks(f"wallet {entry.wallet_id} has an entry {entry.wallet_version} already")
        if entry.kind is EntryKind.CHARGE and entry.hold_id is not None:
            if self._charges.get(entry.hold_id) is not None:
                raise BrokenBooks(f"hold {entry.hold_id} was charged already")
            self._charges.put(entry.hold_id, entry.id)
        self._versions.put(version, entry.id)
        _insert(self.table, entry.id, entry)

    def of_wallet(
        self,
        wallet_id: WalletId,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        below_version: int | None = None,
        limit: int,
    ) -> list[LedgerEntry]:
        found = [
            entry
            for entry in self.table.rows()
            if entry.wallet_id == wallet_id
            and (kind is None or entry.kind is kind)
            and _within(entry.created_at, period)
            and (below_version is None or entry.wallet_version < below_version)
        ]
        found.sort(key=lambda entry: entry.wallet_version, reverse=True)
        return found[:limit]

    def tables(self) -> tuple[Table[str, LedgerEntry], Table[tuple[WalletId, int], EntryId], Table[HoldId, EntryId]]:
        """The entries and their unique keys."""
        return self.table, self._versions, self._charges


class MemoryConversations:
    """Conversations; a deleted one is out of sight."""

    def __init__(self) -> None:
        self.table: Table[str, Conversation] = Table()

    def get(self, conversation_id: ConversationId) -> Conversation | None:
        conversation = self.table.get(conversation_id)
        return None if conversation is None or conversation.deleted_at else conversation

    lock = get

    def of_user(self, user_id: UserId, *, after: Position | None, limit: int) -> list[Conversation]:
        rows = self.table.rows()
        mine = (row for row in rows if row.user_id == user_id and row.listed and row.deleted_at is None)
        return _newest(mine, lambda conversation: (conversation.updated_at, conversation.id), after)[:limit]

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        conversation = self.get(conversation_id)
        if conversation is None or conversation.user_id != user_id:
            raise NotFound("This conversation")
        conversation.touch(at=at)
        self.table.put(conversation_id, conversation)

    def add(self, conversation: Conversation) -> None:
        _insert(self.table, conversation.id, conversation)

    def save(self, conversation: Conversation) -> None:
        _replace(self.table, conversation.id, conversation)


class MemoryInteractions:
    """Interactions, each of which ends once."""

    def __init__(self, conversations: MemoryConversations) -> None:
        self.table: Table[str, Interaction] = Table()
        self.stops: Table[str, datetime] = Table()
        self._conversations = conversations

    def get(self, interaction_id: InteractionId) -> Interaction | None:
        return self.table.get(interaction_id)

    def turns(self, conversation_id: ConversationId, *, limit: int) -> list[Turn]:
        said = [
            row
            for row in self.of_conversation(conversation_id, after=None, limit=len(self._rows(conversation_id)))
            if row.outcome in {Outcome.COMPLETED, Outcome.STOPPED} and row.reply
        ]
        turns = []
        for row in reversed(said[:limit]):
            turns += [Turn(Role.USER, row.prompt), Turn(Role.ASSISTANT, row.reply)]
        return turns

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        return any(row.is_running for row in self._rows(conversation_id))

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        return [interaction_id for interaction_id in among if self.stops.get(interaction_id) is not None]

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        return _newest(self._rows(conversation_id), lambda row: (row.created_at, row.id), after)[:limit]

    def history(
        self, user_id: UserId, filters: HistoryFilter, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        needle = filters.text.casefold() if filters.text else None
        mine = [
            row
            for row in self.table.rows()
            if row.user_id == user_id
            and self._conversations.get(row.conversation_id) is not None
            and (filters.model is None or row.model == filters.model)
            and _within(row.created_at, filters.period)
            and (needle is None or needle in row.prompt.casefold() or needle in row.reply.casefold())
        ]
        return _newest(mine, lambda row: (row.created_at, row.id), after)[:limit]

    def add(self, interaction: Interaction) -> None:
        _insert(self.table, interaction.id, interaction)

    def save(self, interaction: Interaction) -> None:
        stored = self.table.get(interaction.id)
        if stored is None or not stored.is_running:
            raise AlreadySettled(f"interaction {interaction.id} is not running")
        self.table.put(interaction.id, interaction)
        self.stops.remove(interaction.id)

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        stored = self.table.get(interaction_id)
        if stored is not None and stored.is_running and self.stops.get(interaction_id) is None:
            self.stops.put(interaction_id, at)

    def erase_texts(self, conversation_id: ConversationId) -> None:
        for row in self._rows(conversation_id):
            row.prompt = row.reply = ""
            self.table.put(row.id, row)

    def _rows(self, conversation_id: ConversationId) -> list[Interaction]:
        return [row for row in self.table.rows() if row.conversation_id == conversation_id]


class MemoryPayments:
    """Payments by id."""

    def __init__(self) -> None:
        self.table: Table[str, Payment] = Table()

    def get(self, payment_id: PaymentId) -> Payment | None:
        return self.table.get(payment_id)

    lock = get

    def add(self, payment: Payment) -> None:
        _insert(self.table, payment.id, payment)

    def save(self, payment: Payment) -> None:
        stored = self.table.get(payment.id)
        if stored is None or stored.status is not PaymentStatus.PENDING:
            raise BrokenBooks(f"payment {payment.id} is not pending")
        self.table.put(payment.id, payment)


class MemoryIdempotency:
    """Idempotency keys, each a person's own; they never expire."""

    def __init__(self) -> None:
        self.table: Table[tuple[UserId, str], IdempotencyRecord] = Table()

    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None:
        return self.table.get((user_id, key))

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        if earlier := self.get(record.user_id, record.key):
            return earlier
        self.table.put((record.user_id, record.key), record)
        return None


class MemoryWriteChecks:
    """Memory keeps what is written as long as it keeps anything."""

    def write(self, check_id: str) -> None:
        """Nothing to see."""


class MemoryBooks:
    """What the audit reads."""

    def __init__(
        self,
        wallets: MemoryWallets,
        holds: MemoryHolds,
        ledger: MemoryLedger,
        interactions: MemoryInteractions,
        payments: MemoryPayments,
        api_keys: MemoryApiKeys,
    ) -> None:
        self._wallets, self._holds, self._ledger = wallets, holds, ledger
        self._interactions, self._payments, self._api_keys = interactions, payments, api_keys

    def wallets(self) -> Iterator[Wallet]:
        yield from sorted(self._wallets.table.rows(), key=lambda wallet: wallet.id)

    def entries(self) -> Iterator[LedgerEntry]:
        yield from sorted(self._ledger.table.rows(), key=lambda entry: (entry.wallet_id, entry.wallet_version))

    def settlements(self) -> Iterator[Settlement]:
        interactions = {row.hold_id: row for row in self._interactions.table.rows()}
        charges: dict[tuple[HoldId, WalletId], list[int]] = {}
        refunds: dict[tuple[HoldId, WalletId], int] = {}
        for entry in self._ledger.table.rows():
            if entry.hold_id is None:
                continue
            whose = (entry.hold_id, entry.wallet_id)
            if entry.kind is EntryKind.CHARGE:
                charges.setdefault(whose, []).append(entry.amount)
            if entry.kind is EntryKind.REFUND:
                refunds[whose] = refunds.get(whose, 0) + entry.amount
        for hold in sorted(self._holds.table.rows(), key=lambda hold: (hold.wallet_id, hold.id)):
            whose = (hold.id, hold.wallet_id)
            yield _settlement(hold, charges.get(whose, []), refunds.get(whose, 0), interactions.get(hold.id))

    def unheld(self) -> Iterator[InteractionId]:
        yield from (row.id for row in self._interactions.table.rows() if self._holds.get(row.hold_id) is None)

    def purchases(self) -> Iterator[Purchase]:
        for payment in self._payments.table.rows():
            credited = [
                entry
                for entry in self._ledger.table.rows()
                if entry.kind is EntryKind.TOP_UP
                and (entry.payment_id, entry.wallet_id) == (payment.id, payment.wallet_id)
            ]
            yield _purchase(payment, credited)

    def key_uses(self) -> Iterator[KeyUse]:
        found = [
            (row.api_key_id, row.created_at, row.held if row.is_running else row.credits_charged)
            for row in self._interactions.table.rows()
            if row.api_key_id is not None
        ]
        months = list(self._api_keys.months.rows())
        for key in self._api_keys.table.rows():
            used = sum(month.used for month in months if month.api_key_id == key.id)
            in_all = sum(amount for key_id, _, amount in found if key_id == key.id)
            yield KeyUse(api_key_id=key.id, month=None, used=used, found=in_all)
        for month in months:
            of_month = [
                amount
                for key_id, at, amount in found
                if key_id == month.api_key_id and month.starts_at <= at < month.ends_at
            ]
            yield KeyUse(
                api_key_id=month.api_key_id,
                month=month.starts_at,
                used=month.used,
                found=sum(of_month),
                cap=month.monthly_cap,
            )


def _purchase(payment: Payment, entries: list[LedgerEntry]) -> Purchase:
    return Purchase(
        payment_id=payment.id,
        confirmed=payment.status is PaymentStatus.CONFIRMED,
        expected=payment.credits,
        balance_after=payment.balance_after,
        entries=len(entries),
        credited=sum(entry.amount for entry in entries),
        credited_balance=max((entry.balance_after for entry in entries), default=None),
    )


def _settlement(hold: Hold, charges: list[int], given_back: int, interaction: Interaction | None) -> Settlement:
    return Settlement(
        hold_id=hold.id,
        wallet_id=hold.wallet_id,
        state=HoldState(hold.state),
        amount=hold.amount,
        captured=hold.captured,
        expires_at=hold.expires_at,
        charges=len(charges),
        charged=sum(charges),
        interaction_id=interaction.id if interaction else None,
        outcome=interaction.outcome if interaction else None,
        price=interaction.price if interaction else None,
        usage=interaction.usage if interaction else None,
        credits_charged=interaction.credits_charged if interaction else None,
        refunded=hold.refunded,
        given_back=given_back,
        paid_by=interaction.wallet_id if interaction else None,
        promised=interaction.held if interaction else None,
    )


class MemoryTransaction:
    """All repositories, with one commit and one roll-back for all."""

    def __init__(self) -> None:
        self.users = MemoryUsers()
        self.sessions = MemorySessions()
        self.api_keys = MemoryApiKeys()
        self.wallets = MemoryWallets()
        self.holds = MemoryHolds()
        self.ledger = MemoryLedger()
        self.conversations = MemoryConversations()
        self.interactions = MemoryInteractions(self.conversations)
        self.holds.works = self.interactions.table.rows
        self.payments = MemoryPayments()
        self.idempotency = MemoryIdempotency()
        self.write_checks = MemoryWriteChecks()
        self.books = MemoryBooks(self.wallets, self.holds, self.ledger, self.interactions, self.payments, self.api_keys)

    def commit(self) -> None:
        """Keep the changes of every table."""
        for table in self._tables():
            table.commit()

    def roll_back(self) -> None:
        """Drop the changes of every table."""
        for table in self._tables():
            table.roll_back()

    def _tables(self) -> Iterator[Table[str, object]]:
        owners = (self.users, self.sessions, self.wallets, self.holds, self.conversations, self.interactions)
        for owner in (*owners, self.payments, self.idempotency):
            yield owner.table  # type: ignore[misc]
        yield self.sessions.tokens  # type: ignore[misc]
        yield self.interactions.stops  # type: ignore[misc]
        yield from self.api_keys.tables()  # type: ignore[misc]
        yield from self.ledger.tables()  # type: ignore[misc]
