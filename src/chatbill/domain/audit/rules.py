"""The rules of the audit that concern one row and its related rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbill.domain.accounts.api_keys import month_start
from chatbill.domain.audit.rows import CodeUsage, KeyUsage, Purchase, RecordedEntry, Settlement, TrailCount
from chatbill.domain.billing.holds import MAX_HOLD_S, HoldState
from chatbill.domain.billing.ledger import COUNTERPART, EntryKind, LedgerEntry
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT
from chatbill.domain.chat.interactions import Outcome, due_for
from chatbill.domain.shared.audit_trail import AuditAction

_LONGEST = timedelta(seconds=MAX_HOLD_S)
_NOTHING = timedelta()

_BY_HAND = (False, False, False, True)
_RETURNED = (False, False, True, False)
CAUSES = {
    EntryKind.GRANT: ((False, False, False, False), (False, True, False, False)),
    EntryKind.TOP_UP: ((False, False, True, False),),
    EntryKind.CHARGE: ((True, True, False, False),),
    EntryKind.REFUND: ((True, True, False, True),),
    EntryKind.ADJUSTMENT: (_BY_HAND, _RETURNED),
}
"""Whether an entry of each kind names a hold, a subject other than a payment, a payment, an author; one of these."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference in the records: the broken rule, the row, and the two values that differ."""

    rule: str
    subject: str
    detail: str


def called(table: str, row_id: str) -> str:
    """Return the name of a row of which only the table is known."""
    return f"row {row_id} of {table}"


def ways(kind: EntryKind, wallet: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of accounts between which an entry of this kind may move credits."""
    house = COUNTERPART[kind]
    match kind:
        case EntryKind.CHARGE:
            return ((wallet, house),)
        case EntryKind.ADJUSTMENT:
            return ((wallet, house), (house, wallet))
        case _:
            return ((house, wallet),)


def misfit(entry: LedgerEntry) -> str | None:
    """Return what is wrong with the cause of an entry."""
    cause = entry.cause
    is_payment = cause.subject is not None and cause.subject.kind == PAYMENT
    found = (
        cause.hold_id is not None,
        cause.subject is not None and not is_payment,
        is_payment,
        cause.author is not None,
    )
    if found not in CAUSES[entry.kind]:
        expected = " or ".join(map(_named, CAUSES[entry.kind]))
        return f"a {entry.kind} names {expected}; this one {_named(found)}"
    if cause.author is not None and not str(cause.description.params.get("reason") or "").strip():
        return "was made by hand, without a reason"
    if is_payment and entry.kind is EntryKind.ADJUSTMENT and entry.signed_amount > 0:
        return "gives credits for a payment that was returned"
    return None


def _named(causes: tuple[bool, ...]) -> str:
    names = ("a hold", "a subject", "a payment", "an author")
    return " and ".join(name for name, is_named in zip(names, causes, strict=True) if is_named) or "nothing"


def purchased(bought: Purchase) -> Iterator[Difference]:
    """Compare a payment with the entries that credited it."""
    subject = f"payment {bought.payment_id}"
    if bought.own_wallet != bought.wallet_id:
        yield Difference("owner", subject, f"is for wallet {bought.wallet_id}; its user's is {bought.own_wallet}")
    is_paid = bought.status in {PaymentStatus.CONFIRMED, PaymentStatus.REFUNDED}
    if bought.entries != int(is_paid):
        said = bought.status if is_paid else "not confirmed"
        yield Difference("purchase", subject, f"is {said} and was credited {bought.entries} times")
        return
    if not is_paid:
        return
    if (bought.credited, bought.credited_balance) != (bought.expected, bought.balance_after):
        detail = f"bought {bought.expected} and left {bought.balance_after}"
        yield Difference(
            "purchase", subject, f"{detail}; its entry says {bought.credited} and {bought.credited_balance}"
        )
    if bought.confirmed_at != bought.credited_at:
        detail = f"was confirmed at {bought.confirmed_at}, and credited at {bought.credited_at}"
        yield Difference("moments", subject, detail)
    is_back = bought.status is PaymentStatus.REFUNDED
    expected = (1, bought.expected, bought.refunded_at) if is_back else (0, 0, None)
    if (bought.returns, bought.returned, bought.returned_at) != expected:
        detail = f"is {bought.status}, and {bought.returned} of its {bought.expected} credits were taken back"
        yield Difference("purchase", subject, detail)


def used(use: KeyUsage) -> Iterator[Difference]:
    """Compare an API key, or one of its months, with its interactions."""
    when = f" in {use.month:%Y-%m}" if use.month else ""
    subject = f"API key {use.api_key_id}"
    if use.used != use.found:
        yield Difference("key_use", subject, f"says that it used {use.used}{when}; its interactions say {use.found}")
    elif use.cap is not None and use.used > use.cap:
        yield Difference("key_use", subject, f"used {use.used}{when}, over its cap of {use.cap}")
    if use.by_others:
        yield Difference("key_use", subject, f"{use.by_others} of its interactions are not its owner's")
    if use.month and use.month_ends:
        if use.cap != use.key_cap:
            yield Difference("key_use", subject, f"has a cap of {use.key_cap}, and of {use.cap}{when}")
        whole = month_start(use.month), month_start(use.month + timedelta(days=31))
        if whole != (use.month, use.month_ends):
            detail = f"counts from {use.month.isoformat()} to {use.month_ends.isoformat()}, which is no month"
            yield Difference("key_use", subject, detail)


RECORDED = {
    AuditAction.CREDITS_ADJUSTED: EntryKind.ADJUSTMENT,
    AuditAction.CHARGE_REFUNDED: EntryKind.REFUND,
    AuditAction.CODE_REDEEMED: EntryKind.GRANT,
}
"""The kind of entry that an act of the audit trail makes."""


def recorded(found: RecordedEntry) -> Iterator[Difference]:
    """Compare an entry with its record in the audit trail."""
    if found.action is None:
        yield Difference("trail", f"entry {found.id}", "was made by a person, and the audit trail has no record of it")
        return
    subject = f"audit record {found.id}"
    if found.kind is None:
        yield Difference("trail", subject, f"says {found.action}, and no entry has its id")
        return
    says = found.action, found.actor, found.recorded, found.recorded_at
    expected = found.author or found.actor, found.amount, found.made_at
    if RECORDED.get(found.action) is not found.kind or says[1:] != expected:
        yield Difference("trail", subject, f"says {says}; its entry is a {found.kind} and says {expected}")


def whole(trail: TrailCount) -> Iterator[Difference]:
    """Compare the records of the audit trail with the number that came in."""
    if trail.found != trail.counted:
        counted = "no count of them" if trail.counted is None else f"got {trail.counted}"
        yield Difference("trail", "the audit trail", f"has {trail.found} records, and {counted}")


def redeemed(code: CodeUsage) -> Iterator[Difference]:
    """Compare a code with the entries that redeemed it."""
    subject = f"code {code.code_id}"
    if code.uses is None or code.credits is None:
        yield Difference("codes", subject, f"does not exist, and was redeemed {code.used} times")
    elif code.used > code.uses or code.credited != code.used * code.credits:
        detail = f"is for {code.uses} people and {code.credits} credits each"
        yield Difference("codes", subject, f"{detail}; {code.used} got {code.credited} in all")


def settled(settlement: Settlement, now: datetime) -> Iterator[Difference]:
    """Compare a hold with its charge and its refunds, and then with its interaction."""
    subject = f"hold {settlement.hold_id}"
    expected = int(settlement.state is HoldState.CAPTURED)
    if settlement.state is HoldState.PENDING and settlement.expires_at <= now:
        yield Difference("expiry", subject, f"should have ended at {settlement.expires_at.isoformat()}")
    if not _NOTHING <= settlement.expires_at - settlement.created_at <= _LONGEST:
        detail = f"of {settlement.created_at.isoformat()} was to end at {settlement.expires_at.isoformat()}"
        yield Difference("expiry", subject, detail)
    if settlement.charges != expected or settlement.charged != settlement.captured:
        found = f"{settlement.charges} charges of {settlement.charged}"
        yield Difference("capture", subject, f"is {settlement.state} for {settlement.captured} and has {found}")
    if settlement.captured > settlement.amount:
        yield Difference("capture", subject, f"was captured for {settlement.captured}, over its {settlement.amount}")
    if settlement.given_back != settlement.refunded or settlement.refunded > settlement.captured:
        detail = f"says that {settlement.refunded} of {settlement.captured} was refunded; {settlement.given_back} was"
        yield Difference("refund", subject, detail)
    if settlement.charges == 1 and settlement.charge_of != settlement.subject:
        yield Difference("cause", subject, f"is of {settlement.subject}; its charge is of {settlement.charge_of}")
    if settlement.charges == 1 and settlement.charged_at != settlement.settled_at:
        yield Difference("moments", subject, f"ended at {settlement.settled_at}; its charge {settlement.charged_at}")
    is_interaction = settlement.subject.kind == INTERACTION
    if settlement.interactions != int(is_interaction):
        yield Difference("price", subject, f"was made for {settlement.interactions or 'no'} interactions")
    if settlement.interactions:
        yield from _priced(settlement)
        yield from _dated(settlement)


def _priced(settlement: Settlement) -> Iterator[Difference]:
    if settlement.outcome is None or settlement.price is None or settlement.usage is None:
        return
    due = due_for(settlement.price, settlement.outcome, settlement.usage)
    subject = f"interaction {settlement.interaction_id}"
    running = settlement.outcome is Outcome.RUNNING
    if settlement.interaction_id != settlement.subject.id:
        yield Difference("cause", subject, f"has a hold that is of {settlement.subject}")
    if settlement.paid_by != settlement.wallet_id or settlement.promised != settlement.amount:
        detail = f"says that {settlement.paid_by} promised {settlement.promised}; its hold is of {settlement.wallet_id}"
        yield Difference("price", subject, f"{detail}, for {settlement.amount}")
    if running != (settlement.state is HoldState.PENDING):
        yield Difference("price", subject, f"is {settlement.outcome} while its hold is {settlement.state}")
    if settlement.credits_charged != settlement.captured or settlement.captured != due:
        detail = f"says {settlement.credits_charged}, was charged {settlement.captured}, its price says {due}"
        yield Difference("price", subject, detail)


def _dated(settlement: Settlement) -> Iterator[Difference]:
    """Compare the times of a hold, its interaction and its charge: one transaction begins them, and one ends them.

    The order of other times is not checked, because clocks can be wrong.
    """
    subject = f"interaction {settlement.interaction_id}"
    if settlement.created_at != settlement.asked_at:
        yield Difference("moments", subject, f"is of {settlement.asked_at}, and its hold of {settlement.created_at}")
    if settlement.settled_at != settlement.finished_at:
        detail = f"ended at {settlement.finished_at}, and its hold at {settlement.settled_at}"
        yield Difference("moments", subject, detail)
    if settlement.charges != 1:
        return
    if (settlement.charged_at, settlement.charged_balance) != (settlement.settled_at, settlement.balance_after):
        detail = f"left {settlement.balance_after} at {settlement.settled_at}; its charge says "
        yield Difference("moments", subject, f"{detail}{settlement.charged_balance} at {settlement.charged_at}")
