"""The proof of the books: every rule that wallets, holds, entries and interactions must obey together.

The audit reads everything once, in order, and keeps one wallet in mind at a time, so it needs the same memory
for a thousand entries as for a billion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Generic, TypeVar

from chatbill.domain.chat import Outcome, due_for
from chatbill.domain.credits import Price, Usage
from chatbill.domain.ids import ApiKeyId, HoldId, InteractionId, PaymentId, WalletId
from chatbill.domain.ledger import COUNTERPART, EntryKind, HouseAccount, LedgerEntry, wallet_account
from chatbill.domain.wallets import HoldState, Wallet

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A hold beside what became of it: its interaction, and the entries that name it.

    There are `charges` charges worth `charged` credits, and refunds worth `given_back`, all of the hold's own wallet.
    `paid_by` is the wallet of the interaction, and `promised` what the interaction says was held for it.
    """

    hold_id: HoldId
    wallet_id: WalletId
    state: HoldState
    amount: int
    captured: int
    expires_at: datetime
    charges: int
    charged: int
    interaction_id: InteractionId | None
    outcome: Outcome | None
    price: Price | None
    usage: Usage | None
    credits_charged: int | None
    refunded: int = 0
    given_back: int = 0
    paid_by: WalletId | None = None
    promised: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A payment beside the entries that credited it to its own wallet: `entries` of them, worth `credited`.

    `expected` is what was bought; `balance_after` and `credited_balance` are what payment and entry say was owned then.
    """

    payment_id: PaymentId
    confirmed: bool
    expected: int
    balance_after: int | None
    entries: int
    credited: int
    credited_balance: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What an API key is said to have `used`, beside what its interactions hold or were charged (`found`), in credits.

    `month` is the first moment of a month; None stands for all time.
    """

    api_key_id: ApiKeyId
    month: datetime | None
    used: int
    found: int
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books disagree: which rule, about what, and both sides of it."""

    rule: str
    subject: str
    detail: str


RULES = {
    "zero_sum": "the sum over all accounts is zero",
    "replay": "every wallet equals the replay of its entries, version by version",
    "held": "every wallet holds exactly its pending holds",
    "available": "no wallet has promised more than it owns, beyond a debt that was allowed",
    "capture": "every captured hold has exactly one charge, at most its amount, and no other hold has one",
    "refund": "every refund belongs to a charge, and no charge was refunded for more than it was",
    "purchase": "every confirmed payment was credited once, to its wallet, and nothing else was credited as bought",
    "price": "every interaction was charged what its frozen price says, and nothing else was charged",
    "expiry": "no hold lives past its time",
    "key_use": "every API key used what its interactions hold or were charged, each month and in all, within its cap",
}
"""The rules that are checked, in words."""


@dataclass(slots=True)
class Tally:
    """What the audit has seen so far: how many of each, and the credits on either side of the books.

    `refunded` is in credits. `owned` is what all wallets say they own; `house` is each house account, derived from
    the entries.
    """

    wallets: int = 0
    entries: int = 0
    holds: int = 0
    pending_holds: int = 0
    charges: int = 0
    refunded: int = 0
    top_ups: int = 0
    owned: int = 0
    house: Counter[HouseAccount] = field(default_factory=Counter)


def audit(
    wallets: Iterable[Wallet],
    entries: Iterable[LedgerEntry],
    settlements: Iterable[Settlement],
    unheld: Iterable[InteractionId],
    purchases: Iterable[Purchase],
    key_uses: Iterable[KeyUse],
    *,
    now: datetime,
    tally: Tally,
) -> Iterator[Difference]:
    """Every difference in the books, as it is found.

    `wallets` are sorted by id, `entries` by wallet and version, `settlements` by wallet. `unheld` are interactions
    without a hold. `purchases` are all payments, `key_uses` all API keys and their months. `tally` is filled on the
    way.
    """
    entries_of = _Groups(entries, lambda entry: entry.wallet_id)
    settlements_of = _Groups(settlements, lambda settlement: settlement.wallet_id)
    for wallet in wallets:
        tally.wallets += 1
        tally.owned += wallet.posted
        charges, refunded = tally.charges, tally.refunded
        yield from entries_of.strangers(wallet.id)
        yield from _replay(wallet, entries_of.take(wallet.id), tally)
        yield from settlements_of.strangers(wallet.id)
        held, charges, refunded = 0, tally.charges - charges, tally.refunded - refunded
        for settlement in settlements_of.take(wallet.id):
            tally.holds += 1
            charges -= settlement.charges
            refunded -= settlement.given_back
            held += settlement.amount if settlement.state is HoldState.PENDING else 0
            yield from _settled(settlement, now, tally)
        if charges:
            yield Difference("capture", f"wallet {wallet.id}", f"{charges} more charges than its holds have")
        if refunded:
            yield Difference("refund", f"wallet {wallet.id}", f"{refunded} more credits refunded than its charges say")
        if wallet.held != held:
            yield Difference("held", f"wallet {wallet.id}", f"holds {wallet.held}, its pending holds are {held}")
        if wallet.available < -wallet.overdraft:
            yield Difference("available", f"wallet {wallet.id}", f"owns {wallet.posted} and has promised {wallet.held}")
    yield from entries_of.strangers(None)
    yield from settlements_of.strangers(None)
    yield from _purchased(purchases, tally)
    yield from _key_used(key_uses)
    for interaction_id in unheld:
        yield Difference("price", f"interaction {interaction_id}", "has no hold")
    if total := tally.owned + sum(tally.house.values()):
        yield Difference("zero_sum", "all accounts", f"they sum to {total}")


def _replay(wallet: Wallet, entries: Iterable[LedgerEntry], tally: Tally) -> Iterator[Difference]:
    posted = version = 0
    for entry in entries:
        tally.entries += 1
        tally.charges += entry.kind is EntryKind.CHARGE
        tally.refunded += entry.amount if entry.kind is EntryKind.REFUND else 0
        tally.top_ups += entry.kind is EntryKind.TOP_UP
        tally.house[COUNTERPART[entry.kind]] -= entry.signed_amount
        version += 1
        posted += entry.signed_amount
        subject = f"entry {entry.id}"
        if (entry.debit, entry.credit) not in _ways(entry.kind, wallet_account(wallet.id)):
            yield Difference("zero_sum", subject, f"a {entry.kind} cannot move {entry.debit} to {entry.credit}")
        if entry.wallet_version != version:
            yield Difference("replay", subject, f"is number {version} of its wallet and says {entry.wallet_version}")
            version = entry.wallet_version
        if entry.balance_after != posted:
            yield Difference("replay", subject, f"leaves {posted} and says {entry.balance_after}")
            posted = entry.balance_after
    if (wallet.posted, wallet.version) != (posted, version):
        yield Difference(
            "replay",
            f"wallet {wallet.id}",
            f"owns {wallet.posted} at version {wallet.version}; its entries say {posted} at version {version}",
        )


def _ways(kind: EntryKind, wallet: str) -> tuple[tuple[str, str], ...]:
    """From which account to which an entry of this kind may move credits."""
    house = COUNTERPART[kind]
    match kind:
        case EntryKind.CHARGE:
            return ((wallet, house),)
        case EntryKind.ADJUSTMENT:
            return ((wallet, house), (house, wallet))
        case _:
            return ((house, wallet),)


def _purchased(purchases: Iterable[Purchase], tally: Tally) -> Iterator[Difference]:
    matched = 0
    for bought in purchases:
        matched += bought.entries
        subject = f"payment {bought.payment_id}"
        if bought.entries != int(bought.confirmed):
            said = "confirmed" if bought.confirmed else "not confirmed"
            yield Difference("purchase", subject, f"is {said} and was credited {bought.entries} times")
        elif bought.confirmed and (bought.credited, bought.credited_balance) != (bought.expected, bought.balance_after):
            detail = f"bought {bought.expected} and left {bought.balance_after}"
            yield Difference(
                "purchase", subject, f"{detail}; its entry says {bought.credited} and {bought.credited_balance}"
            )
    if matched != tally.top_ups:
        yield Difference("purchase", "all payments", f"{tally.top_ups} top-ups were posted, {matched} of a payment")


def _key_used(key_uses: Iterable[KeyUse]) -> Iterator[Difference]:
    for use in key_uses:
        when = f" in {use.month:%Y-%m}" if use.month else ""
        if use.used != use.found:
            detail = f"says that it used {use.used}{when}; its interactions say {use.found}"
            yield Difference("key_use", f"API key {use.api_key_id}", detail)
        elif use.cap is not None and use.used > use.cap:
            detail = f"used {use.used}{when}, over its cap of {use.cap}"
            yield Difference("key_use", f"API key {use.api_key_id}", detail)


def _settled(settlement: Settlement, now: datetime, tally: Tally) -> Iterator[Difference]:
    subject = f"hold {settlement.hold_id}"
    expected = int(settlement.state is HoldState.CAPTURED)
    if settlement.state is HoldState.PENDING:
        tally.pending_holds += 1
        if settlement.expires_at <= now:
            yield Difference("expiry", subject, f"should have ended at {settlement.expires_at.isoformat()}")
    if settlement.charges != expected or settlement.charged != settlement.captured:
        found = f"{settlement.charges} charges of {settlement.charged}"
        yield Difference("capture", subject, f"is {settlement.state} for {settlement.captured} and has {found}")
    if settlement.captured > settlement.amount:
        yield Difference("capture", subject, f"was captured for {settlement.captured}, over its {settlement.amount}")
    if settlement.given_back != settlement.refunded or settlement.refunded > settlement.captured:
        detail = f"says that {settlement.refunded} of {settlement.captured} was refunded; {settlement.given_back} was"
        yield Difference("refund", subject, detail)
    yield from _priced(settlement)


def _priced(settlement: Settlement) -> Iterator[Difference]:
    if settlement.outcome is None or settlement.price is None or settlement.usage is None:
        if settlement.captured:
            yield Difference("price", f"hold {settlement.hold_id}", "was captured for no interaction")
        return
    due = due_for(settlement.price, settlement.outcome, settlement.usage)
    subject = f"interaction {settlement.interaction_id}"
    running = settlement.outcome is Outcome.RUNNING
    if settlement.paid_by != settlement.wallet_id or settlement.promised != settlement.amount:
        detail = f"says that {settlement.paid_by} promised {settlement.promised}; its hold is of {settlement.wallet_id}"
        yield Difference("price", subject, f"{detail}, for {settlement.amount}")
    if running != (settlement.state is HoldState.PENDING):
        yield Difference("price", subject, f"is {settlement.outcome} while its hold is {settlement.state}")
    if settlement.credits_charged != settlement.captured or settlement.captured != due:
        detail = f"says {settlement.credits_charged}, was charged {settlement.captured}, its price says {due}"
        yield Difference("price", subject, detail)


class _Groups(Generic[Row]):
    """Rows grouped by wallet, taken group by group beside the wallets, both sorted by wallet id."""

    def __init__(self, rows: Iterable[Row], wallet_of: Callable[[Row], WalletId]) -> None:
        self._groups = groupby(rows, key=wallet_of)
        self._current = next(self._groups, None)

    def take(self, wallet_id: WalletId) -> Iterator[Row]:
        """The rows of this wallet, if it is its turn."""
        if self._current is not None and self._current[0] == wallet_id:
            yield from self._current[1]
            self._current = next(self._groups, None)

    def strangers(self, before: WalletId | None) -> Iterator[Difference]:
        """A difference for each wallet id that has rows but does not exist, up to `before` or to the end."""
        while self._current is not None and (before is None or self._current[0] < before):
            wallet_id, rows = self._current
            yield Difference(
                "replay", f"wallet {wallet_id}", f"does not exist, yet {sum(1 for _ in rows)} rows name it"
            )
            self._current = next(self._groups, None)
