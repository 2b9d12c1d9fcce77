"""What a transaction can read and change, one aggregate at a time.

Each aggregate has a reader, for snapshots, and a repository, which also changes it. What a reader returns is a
copy: changing it changes nothing until it is saved. `get` returns None for what does not exist.

Add what is referred to before what refers to it: a wallet before its user, a hold before its interaction.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.domain.api_keys import ApiKey, KeyMonth
from chatbill.domain.books import Dangling, KeyUse, Ownership, Purchase, Settlement, Unreadable
from chatbill.domain.chat import Conversation, Interaction, Turn
from chatbill.domain.idempotency import IdempotencyRecord
from chatbill.domain.ids import (
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
from chatbill.domain.ledger import EntryKind, LedgerEntry
from chatbill.domain.payments import Payment
from chatbill.domain.sessions import RefreshToken, Session
from chatbill.domain.users import User
from chatbill.domain.wallets import Hold, Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Moments from `start` (included) to `end` (left out); None is open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is sorted by time and then by id."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which interactions to show. `text` is looked for in prompt and reply, whatever its letter case."""

    model: ModelId | None = None
    period: Period = Period()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class HeldWork:
    """A running interaction and the pending hold that pays for it."""

    interaction: Interaction
    hold: Hold


class UserReader(Protocol):
    def get(self, user_id: UserId) -> User | None: ...

    def by_login(self, key: str) -> User | None:
        """The user whose username or e-mail address has this key (see `users.name_key`)."""
        ...


class UserRepository(UserReader, Protocol):
    def lock(self, user_id: UserId) -> User | None:
        """As `get`, and nobody else changes it until this transaction ends."""
        ...

    def add(self, user: User) -> None:
        """Keep a new user. Raises `UsernameTaken` or `EmailTaken`."""
        ...

    def save(self, user: User) -> None: ...


class SessionReader(Protocol):
    def get(self, session_id: SessionId) -> Session | None: ...
    def token(self, digest: str) -> RefreshToken | None: ...


class SessionRepository(SessionReader, Protocol):
    def lock(self, session_id: SessionId) -> Session | None:
        """As `get`, and nobody else changes it or its tokens until this transaction ends."""
        ...

    def add(self, session: Session) -> None: ...
    def save(self, session: Session) -> None: ...

    def live_of(self, user_id: UserId) -> list[Session]:
        """The sessions of this user that have not been ended."""
        ...

    def add_token(self, token: RefreshToken) -> None: ...
    def save_token(self, token: RefreshToken) -> None: ...

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        """Delete at most `limit` sessions that expired before this moment, with their tokens; return how many."""
        ...


class ApiKeyReader(Protocol):
    def get(self, key_id: ApiKeyId) -> ApiKey | None: ...

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        """The keys of a user that were not revoked, by id."""
        ...

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        """All keys that a user ever had, by id. May read every key there is: for operators."""
        ...

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        """What the key used in the month that starts so; None where it used nothing."""
        ...


class ApiKeyRepository(ApiKeyReader, Protocol):
    """Keys and their months. Whoever counts in a month locks the wallet that pays, so that lock guards months too."""

    def lock(self, key_id: ApiKeyId) -> ApiKey | None:
        """As `get`, and nobody else changes it until this transaction ends."""
        ...

    def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises `BrokenBooks` where the user has one of its name; lock the user before you look."""
        ...

    def save(self, key: ApiKey) -> None:
        """Keep when the key was used last, and that it was revoked, by whom and why."""
        ...

    def save_month(self, month: KeyMonth) -> None:
        """Keep what was used, of a new month or a known one. Raises `BrokenBooks` where that is over its cap."""
        ...

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002
        """Count so many credits less. Raises `BrokenBooks` where fewer were used."""
        ...


class WalletReader(Protocol):
    def get(self, wallet_id: WalletId) -> Wallet | None: ...


class WalletRepository(WalletReader, Protocol):
    def lock(self, wallet_id: WalletId) -> Wallet:
        """The wallet, which nobody else changes until this transaction ends. Raises `NotFound`.

        Whoever changes a hold locks its wallet first, so this lock guards the holds too.
        """
        ...

    def add(self, wallet: Wallet) -> None: ...
    def save(self, wallet: Wallet) -> None: ...


class HoldReader(Protocol):
    def get(self, hold_id: HoldId) -> Hold | None: ...

    def due(self, now: datetime, limit: int) -> list[HeldWork]:
        """Work whose hold is pending and should have ended by `now`, the oldest hold first."""
        ...


class HoldRepository(HoldReader, Protocol):
    def add(self, hold: Hold) -> None: ...

    def save(self, hold: Hold) -> None:
        """Keep a settled hold. Raises `BrokenBooks` unless the stored hold is still pending."""
        ...

    def save_refund(self, hold: Hold) -> None:
        """Keep how much of a captured hold was refunded, which only grows. Raises `BrokenBooks` where it would not."""
        ...


class LedgerReader(Protocol):
    def get(self, entry_id: EntryId) -> LedgerEntry | None: ...

    def of_wallet(
        self,
        wallet_id: WalletId,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        below_version: int | None = None,
        limit: int,
    ) -> list[LedgerEntry]:
        """Entries of a wallet, newest first, with a version under `below_version`."""
        ...


class LedgerRepository(LedgerReader, Protocol):
    def append(self, entry: LedgerEntry) -> None:
        """Keep an entry for ever. Raises `BrokenBooks` if the wallet has this version already, or the hold a charge."""
        ...


class ConversationReader(Protocol):
    def get(self, conversation_id: ConversationId) -> Conversation | None:
        """The conversation, unless it was deleted."""
        ...

    def of_user(self, user_id: UserId, *, after: Position | None, limit: int) -> list[Conversation]:
        """Conversations that were not deleted, the one updated last first, past the position `after`."""
        ...


class ConversationRepository(ConversationReader, Protocol):
    def lock(self, conversation_id: ConversationId) -> Conversation | None:
        """As `get`, and nobody else changes it until this transaction ends."""
        ...

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        """Note that this person said something in it. Raises `NotFound` if it was deleted or is somebody else's."""
        ...

    def add(self, conversation: Conversation) -> None: ...
    def save(self, conversation: Conversation) -> None: ...


class InteractionReader(Protocol):
    def get(self, interaction_id: InteractionId) -> Interaction | None: ...

    def turns(self, conversation_id: ConversationId, *, limit: int) -> list[Turn]:
        """What was said, oldest first: prompt and reply of the last `limit` interactions that left a reply.

        Only completed and stopped ones count, and only those with a reply that is not empty.
        """
        ...

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        """Whether a reply is being written in this conversation."""
        ...

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        """Those of these interactions that are still running and that somebody asked to stop, in any order."""
        ...

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        """Interactions of a conversation, newest first, past the position `after`."""
        ...

    def history(
        self, user_id: UserId, filters: HistoryFilter, *, after: Position | None, limit: int
    ) -> list[Interaction]:
        """Interactions of a user in conversations that were not deleted, newest first, past the position `after`."""
        ...


class InteractionRepository(InteractionReader, Protocol):
    def add(self, interaction: Interaction) -> None: ...

    def save(self, interaction: Interaction) -> None:
        """Keep how a running interaction ended. Raises `AlreadySettled` unless the stored one is still running."""
        ...

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        """Let the process that writes this reply know that it shall stop.

        Nothing happens where that was asked before, or where the interaction is not running.
        """
        ...

    def erase_texts(self, conversation_id: ConversationId) -> None:
        """Blank prompts and replies of a conversation for ever; the figures stay."""
        ...


class PaymentReader(Protocol):
    def get(self, payment_id: PaymentId) -> Payment | None: ...


class PaymentRepository(PaymentReader, Protocol):
    def lock(self, payment_id: PaymentId) -> Payment | None:
        """As `get`, and nobody else changes it until this transaction ends."""
        ...

    def add(self, payment: Payment) -> None: ...

    def save(self, payment: Payment) -> None:
        """Keep what became of a payment. Raises `BrokenBooks` unless the stored one is still pending."""
        ...


class IdempotencyReader(Protocol):
    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None: ...


class IdempotencyRepository(IdempotencyReader, Protocol):
    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        """Keep the record if the user's key is new, and return None; else return the record that was there.

        Of two transactions that claim one key, the second waits for the first to end.
        """
        ...


class WriteChecks(Protocol):
    def write(self, check_id: str) -> None:
        """Write about as much as a charge does, and take it back, so that only the commit of it is of interest.

        Raises `StoreUnavailable` where what is kept now would not be found by who opens the store anew.
        """
        ...


class BooksReader(Protocol):
    """Everything the audit reads, streamed in the order it asks for; text sorts by code point.

    Each stream is closed by whoever leaves it before its end. A row that makes no sense comes as `Unreadable`.
    """

    def wallets(self) -> Generator[Wallet, None, None]:
        """All wallets by id."""
        ...

    def owners(self) -> Generator[Ownership, None, None]:
        """The wallets of all users by wallet."""
        ...

    def entries(self) -> Generator[LedgerEntry | Unreadable, None, None]:
        """All entries by wallet and version."""
        ...

    def settlements(self) -> Generator[Settlement | Unreadable, None, None]:
        """All holds by wallet, each with its charges and its interaction."""
        ...

    def unheld(self) -> Generator[InteractionId, None, None]:
        """Interactions whose hold does not exist."""
        ...

    def purchases(self) -> Generator[Purchase | Unreadable, None, None]:
        """All payments, each with the entries that credited it to its own wallet."""
        ...

    def key_uses(self) -> Generator[KeyUse | Unreadable, None, None]:
        """All API keys, each for all time and for each of its months."""
        ...

    def dangling(self) -> Generator[Dangling, None, None]:
        """Rows that refer to rows that do not exist; of interactions without a hold, `unheld` tells."""
        ...

    def missing_rules(self) -> Generator[str, None, None]:
        """What the database was made to forbid and does not forbid any more, such as "the trigger holds_stay"."""
        ...
