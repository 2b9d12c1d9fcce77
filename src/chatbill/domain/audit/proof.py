"""The audit of the accounting records: every rule that wallets, holds, entries and interactions must obey together.

The audit reads all rows once, in order, and holds one wallet in memory at a time, so its use of memory does not grow
with the number of entries. A row that cannot be read is a difference like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from chatbill.domain.audit.rows import AuditInput, Purchase, Settlement, UnreadableRow
from chatbill.domain.audit.rules import (
    Difference,
    called,
    misfit,
    purchased,
    recorded,
    redeemed,
    settled,
    used,
    ways,
    whole,
)
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import COUNTERPART, EntryKind, HouseAccount, LedgerEntry, wallet_account
from chatbill.domain.billing.subjects import USER
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import UserId, WalletId

__all__ = ["RULES", "Difference", "Tally", "audit"]

RULES = {
    "rules": "the database has every constraint and trigger that the migrations make",
    "readable": "every row can be read",
    "reference": "every row that refers to another refers to one that exists",
    "owner": "every wallet has the owner that it names, and every interaction was paid by the wallet of its own user",
    "zero_sum": "the sum over all accounts is zero",
    "replay": "every wallet equals the replay of its entries, version by version",
    "cause": "every entry names its cause and nothing else; one that was made by hand names its author and a reason",
    "held": "the held credits of every wallet are the sum of its pending holds",
    "available": "no wallet has promised more than it owns, beyond a debt that was allowed",
    "capture": "every captured hold has exactly one charge, of at most its amount, and no other hold has a charge",
    "refund": "every refund belongs to a charge, and no charge was refunded for more than its amount",
    "purchase": "every confirmed payment was credited once, to its wallet, and nothing else was credited as bought",
    "price": "every interaction was charged what its frozen price says, and nothing else was charged",
    "moments": "rows that are written together have the same time and the same balance",
    "expiry": "no hold is pending after its time, and no hold was made for more than 25 hours",
    "roll_up": "the roll-ups of reports are what the rows say from which they are made",
    "key_use": "every API key used what its interactions hold or were charged, each month and in all, within its cap",
    "trail": "the audit trail has every record that it ever got, one for each entry that a person made, and vice versa",
    "codes": "every code was redeemed for its credits, by no more people than it is for",
}
"""The rules that are checked, as sentences for the operator."""


@dataclass(slots=True)
class Tally:
    """Counts of the rows that the audit has read, and totals of their credits.

    `refunded` is in credits. `owned` is the sum of the wallets' balances; `house` has the balance of each house
    account, computed from the entries.
    """

    wallets: int = 0
    entries: int = 0
    holds: int = 0
    pending_holds: int = 0
    charges: int = 0
    refunded: int = 0
    top_ups: int = 0
    returns: int = 0
    owned: int = 0
    house: Counter[HouseAccount] = field(default_factory=Counter)


def audit(rows: AuditInput, *, now: datetime, tally: Tally) -> Iterator[Difference]:
    """Yield each difference in the records when it is found, and fill `tally`."""
    entries_of, owners_of = _Groups(rows.entries), _Groups(rows.owners)
    settlements_of = _Groups(rows.settlements)
    for wallet in rows.wallets:
        tally.wallets += 1
        if isinstance(wallet, UnreadableRow):
            yield _unread(wallet)
            continue
        tally.owned += wallet.posted
        charges, refunded = tally.charges, tally.refunded
        owners_of.skip(wallet.id)
        owners = [each.user_id for each in owners_of.take(wallet.id)]
        expected = [UserId(wallet.owner.id)] if wallet.owner.kind == USER else []
        if owners != expected:
            found = f"is the wallet of {len(owners)} users" if len(owners) > 1 else f"is of {owners or 'no user'}"
            yield Difference("owner", f"wallet {wallet.id}", f"{found}, and says that its owner is {wallet.owner}")
        yield from entries_of.strangers(wallet.id)
        yield from _replay(wallet, entries_of.take(wallet.id), tally)
        yield from settlements_of.strangers(wallet.id)
        charges, refunded = tally.charges - charges, tally.refunded - refunded
        yield from _settle(wallet, owners, settlements_of.take(wallet.id), (charges, refunded), now, tally)
    yield from entries_of.strangers(None)
    yield from settlements_of.strangers(None)
    yield from _purchased(rows.purchases, tally)
    yield from _others(rows)
    if total := tally.owned + sum(tally.house.values()):
        yield Difference("zero_sum", "all accounts", f"they sum to {total}")
    for missing in rows.missing_rules:
        yield Difference("rules", "the database", f"lacks {missing}")


def _others(rows: AuditInput) -> Iterator[Difference]:
    """Check the rows that belong to no wallet."""
    for use in rows.key_uses:
        yield from (_unread(use),) if isinstance(use, UnreadableRow) else used(use)
    for found in rows.recorded:
        yield from (_unread(found),) if isinstance(found, UnreadableRow) else recorded(found)
    if rows.trail:
        yield from whole(rows.trail)
    for code in rows.code_uses:
        yield from redeemed(code)
    for interaction_id in rows.unheld:
        yield Difference("price", f"interaction {interaction_id}", "has no hold")
    for row in rows.dangling:
        yield Difference("reference", called(row.table, row.row_id), f"its {row.column} names nothing that exists")


def _unread(row: UnreadableRow) -> Difference:
    return Difference("readable", called(row.table, row.row_id), f"cannot be read: {row.detail}")


def _replay(wallet: Wallet, entries: Iterable[LedgerEntry | UnreadableRow], tally: Tally) -> Iterator[Difference]:
    posted = version = must_owe = may_owe = 0
    account = wallet_account(wallet.id)
    for entry in entries:
        tally.entries += 1
        version += 1
        if isinstance(entry, UnreadableRow):
            yield _unread(entry)
            version, posted = entry.wallet_version or version, entry.balance_after or posted
            continue
        kind, signed = entry.kind, entry.signed_amount
        tally.charges += kind is EntryKind.CHARGE
        tally.refunded += entry.amount if kind is EntryKind.REFUND else 0
        tally.top_ups += kind is EntryKind.TOP_UP
        tally.returns += kind is EntryKind.ADJUSTMENT and entry.cause.author is None
        tally.house[COUNTERPART[kind]] -= signed
        posted += signed
        subject = f"entry {entry.id}"
        if (entry.debit, entry.credit) not in ways(kind, account):
            yield Difference("zero_sum", subject, f"a {kind} cannot move {entry.debit} to {entry.credit}")
        if entry.wallet_version != version:
            yield Difference("replay", subject, f"is number {version} of its wallet and says {entry.wallet_version}")
            version = entry.wallet_version
        if entry.balance_after != posted:
            yield Difference("replay", subject, f"leaves {posted} and says {entry.balance_after}")
            posted = entry.balance_after
        if wrong := misfit(entry):
            yield Difference("cause", subject, wrong)
        if kind is EntryKind.ADJUSTMENT and signed < 0:
            # What was held then is not written down, so the debt that it allowed is known within bounds alone.
            must_owe, may_owe = max(must_owe, -posted), may_owe - signed
    if (wallet.posted, wallet.version) != (posted, version):
        yield Difference(
            "replay",
            f"wallet {wallet.id}",
            f"owns {wallet.posted} at version {wallet.version}; its entries say {posted} at version {version}",
        )
    if not must_owe <= wallet.overdraft <= may_owe:
        detail = f"may owe {wallet.overdraft}; its adjustments allowed from {must_owe} to {may_owe}"
        yield Difference("available", f"wallet {wallet.id}", detail)


def _settle(
    wallet: Wallet,
    owners: list[UserId],
    settlements: Iterable[Settlement | UnreadableRow],
    found: tuple[int, int],
    now: datetime,
    tally: Tally,
) -> Iterator[Difference]:
    """Compare the holds of a wallet; `found` are the charges among its entries, and the credits refunded."""
    (charges, refunded), held = found, 0
    for settlement in settlements:
        tally.holds += 1
        if isinstance(settlement, UnreadableRow):
            yield _unread(settlement)
            continue
        charges -= settlement.charges
        refunded -= settlement.given_back
        if settlement.state is HoldState.PENDING:
            held += settlement.amount
            tally.pending_holds += 1
        yield from settled(settlement, now)
        if settlement.interactions and settlement.user_id not in owners:
            detail = f"is of user {settlement.user_id}, whose wallet {wallet.id} is not"
            yield Difference("owner", f"interaction {settlement.interaction_id}", detail)
    if charges:
        yield Difference("capture", f"wallet {wallet.id}", f"{charges} more charges than its holds have")
    if refunded:
        yield Difference("refund", f"wallet {wallet.id}", f"{refunded} more credits refunded than its charges say")
    if wallet.held != held:
        yield Difference("held", f"wallet {wallet.id}", f"holds {wallet.held}, its pending holds are {held}")
    if wallet.available < -wallet.overdraft:
        yield Difference("available", f"wallet {wallet.id}", f"owns {wallet.posted} and has promised {wallet.held}")


def _purchased(purchases: Iterable[Purchase | UnreadableRow], tally: Tally) -> Iterator[Difference]:
    matched = returned = 0
    for bought in purchases:
        if isinstance(bought, UnreadableRow):
            yield _unread(bought)
            continue
        matched += bought.entries
        returned += bought.returns
        yield from purchased(bought)
    if matched != tally.top_ups:
        yield Difference("purchase", "all payments", f"{tally.top_ups} top-ups were posted, {matched} of a payment")
    if returned != tally.returns:
        detail = f"{tally.returns} adjustments have no author, {returned} of a payment that was refunded"
        yield Difference("purchase", "all payments", detail)


class _OfWallet(Protocol):
    @property
    def wallet_id(self) -> WalletId: ...


Row = TypeVar("Row", bound=_OfWallet)


class _Groups(Generic[Row]):
    """Rows grouped by wallet, taken group by group beside the wallets, both sorted by wallet id."""

    def __init__(self, rows: Iterable[Row]) -> None:
        wallet_of: Callable[[Row], WalletId] = lambda row: row.wallet_id  # noqa: E731 - mypy wants its type said
        self._groups = groupby(rows, key=wallet_of)
        self._current = next(self._groups, None)

    def take(self, wallet_id: WalletId) -> Iterator[Row]:
        """Return the next rows if they belong to this wallet."""
        if self._current is not None and self._current[0] == wallet_id:
            yield from self._current[1]
            self._current = next(self._groups, None)

    def skip(self, before: WalletId) -> None:
        """Leave out the rows of wallets that do not exist, up to `before`."""
        while self._current is not None and self._current[0] < before:
            self._current = next(self._groups, None)

    def strangers(self, before: WalletId | None) -> Iterator[Difference]:
        """Yield a difference for each wallet id that has rows but does not exist, up to `before` or to the end."""
        while self._current is not None and (before is None or self._current[0] < before):
            wallet_id, rows = self._current
            yield Difference(
                "replay", f"wallet {wallet_id}", f"does not exist, yet {sum(1 for _ in rows)} rows name it"
            )
            self._current = next(self._groups, None)
