"""The rows that the audit reads. They are not validated, because the audit reports rows that contradict each other.

There is one row for every hold and every entry, so the classes that only the audit uses are not frozen: making a frozen
object takes twice as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import ApiKeyId, HoldId, InteractionId, PaymentId, UserId, WalletId

_NONE = WalletId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row with a value that no program writes, such as an unknown kind of entry.

    It belongs to `wallet_id`, if to any. `wallet_version` and `balance_after` are those of an entry.
    """

    table: str
    row_id: str
    detail: str
    wallet_id: WalletId = _NONE
    wallet_version: int | None = None
    balance_after: int | None = None


@dataclass(frozen=True, slots=True)
class Ownership:
    """A wallet and its user."""

    wallet_id: WalletId
    user_id: UserId


@dataclass(slots=True, kw_only=True)
class Settlement:
    """A hold with the entries that name it, and with its interaction if its subject is one.

    There are `charges` charges worth `charged` credits, of the hold's own wallet, and refunds of its subject worth
    `given_back`. `paid_by` is the wallet of the interaction, `promised` what that says was held for it, and
    `interactions` says how many name the hold. `charge_of`, `charged_at` and `charged_balance` are what the charge says
    of its subject, its moment, and what was owned then.
    """

    hold_id: HoldId
    wallet_id: WalletId
    subject: Subject
    state: HoldState
    amount: int
    captured: int
    created_at: datetime
    expires_at: datetime
    settled_at: datetime | None = None
    refunded: int = 0
    given_back: int = 0
    charges: int = 0
    charged: int = 0
    charge_of: Subject | None = None
    charged_at: datetime | None = None
    charged_balance: int | None = None
    interactions: int = 0
    interaction_id: InteractionId | None = None
    user_id: UserId | None = None
    outcome: Outcome | None = None
    price: Price | None = None
    usage: Usage | None = None
    credits_charged: int | None = None
    paid_by: WalletId | None = None
    promised: int | None = None
    asked_at: datetime | None = None
    finished_at: datetime | None = None
    balance_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A payment beside the entries that credited it to its own wallet: `entries` of them, worth `credited`.

    `expected` is what was bought; `balance_after` and `credited_balance` are what payment and entry say was owned then,
    `confirmed_at` and `credited_at` when that was. `own_wallet` is the wallet of the user who paid. Where the
    money went back at `refunded_at`, `returns` entries took `returned` credits back, the last one at `returned_at`.
    """

    payment_id: PaymentId
    status: PaymentStatus
    expected: int
    balance_after: int | None
    confirmed_at: datetime | None
    entries: int
    credited: int
    credited_balance: int | None
    credited_at: datetime | None
    wallet_id: WalletId
    own_wallet: WalletId | None
    refunded_at: datetime | None = None
    returns: int = 0
    returned: int = 0
    returned_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsage:
    """The recorded usage of an API key (`used`) and the sum over its interactions (`found`), in credits.

    `month` and `month_ends` are the first moments of a month and of the next one; None stands for all time. `cap` is
    the month's own, `key_cap` that of its key. `by_others` is how many of its interactions are not its owner's.
    """

    api_key_id: ApiKeyId
    used: int
    found: int
    month: datetime | None = None
    month_ends: datetime | None = None
    cap: int | None = None
    key_cap: int | None = None
    by_others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEntry:
    """An entry that was made by hand or with a code, beside the record of the audit trail that has its id.

    `amount` is that of the entry as the wallet sees it, `recorded` that of the record. An entry without a record has no
    `action`, and a record without an entry no `kind`.
    """

    id: str
    kind: EntryKind | None = None
    author: UserId | None = None
    amount: int | None = None
    made_at: datetime | None = None
    action: AuditAction | None = None
    actor: UserId | None = None
    recorded: object = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailCount:
    """How many records the audit trail has, and how many the database `counted` as they came: None without a count."""

    found: int
    counted: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUsage:
    """A code beside the entries that redeemed it: `used` of them, worth `credited`. Without `uses`, no such code is."""

    code_id: str
    used: int
    credited: int
    uses: int | None = None
    credits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DanglingReference:
    """A row whose `column` refers to a row that does not exist."""

    table: str
    row_id: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditInput:
    """All rows that the audit reads, in the required order.

    `wallets` are sorted by id, `owners` by wallet, `entries` by wallet and version, `settlements` by wallet.
    `purchases` are all payments, `key_uses` all API keys and their months, `code_uses` all codes. `trail` counts the
    audit trail. `recorded` are the entries that were made by hand or with a code since the audit trail began, and
    records without their entry. `unheld` are interactions without a hold, and `missing_rules` are constraints and
    triggers that the database no longer has.
    """

    wallets: Iterable[Wallet | UnreadableRow]
    owners: Iterable[Ownership] = ()
    entries: Iterable[LedgerEntry | UnreadableRow] = ()
    settlements: Iterable[Settlement | UnreadableRow] = ()
    unheld: Iterable[InteractionId] = ()
    purchases: Iterable[Purchase | UnreadableRow] = ()
    key_uses: Iterable[KeyUsage | UnreadableRow] = ()
    recorded: Iterable[RecordedEntry | UnreadableRow] = ()
    trail: TrailCount | None = None
    code_uses: Iterable[CodeUsage] = ()
    dangling: Iterable[DanglingReference] = ()
    missing_rules: Iterable[str] = ()
