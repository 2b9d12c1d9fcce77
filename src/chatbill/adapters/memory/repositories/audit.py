"""Read everything that the audit compares from the tables in memory."""

from __future__ import annotations

from collections.abc import Generator

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.domain.audit.rows import (
    CodeUsage,
    DanglingReference,
    KeyUsage,
    Ownership,
    Purchase,
    RecordedEntry,
    Settlement,
    TrailCount,
)
from chatbill.domain.audit.rules import RECORDED
from chatbill.domain.billing.holds import Hold, HoldState
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Payment
from chatbill.domain.billing.subjects import CODE, PAYMENT, Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.audit_trail import AuditRecord
from chatbill.domain.shared.ids import (
    HoldId,
    InteractionId,
    WalletId,
)


class MemoryAuditReader:
    """Reads the rows for the audit from memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def wallets(self) -> Generator[Wallet, None, None]:
        yield from sorted(self._tables.wallets.rows(), key=lambda wallet: wallet.id)

    def owners(self) -> Generator[Ownership, None, None]:
        for user in sorted(self._tables.users.rows(), key=lambda user: (user.wallet_id, user.id)):
            yield Ownership(user.wallet_id, user.id)

    def entries(self) -> Generator[LedgerEntry, None, None]:
        yield from sorted(self._tables.entries.rows(), key=lambda entry: (entry.wallet_id, entry.wallet_version))

    def settlements(self) -> Generator[Settlement, None, None]:
        interactions: dict[HoldId, list[Interaction]] = {}
        for row in self._tables.interactions.rows():
            interactions.setdefault(row.hold_id, []).append(row)
        entries: dict[tuple[HoldId, WalletId], list[LedgerEntry]] = {}
        for entry in self._tables.entries.rows():
            if entry.cause.hold_id is not None:
                entries.setdefault((entry.cause.hold_id, entry.wallet_id), []).append(entry)
        for hold in sorted(self._tables.holds.rows(), key=lambda hold: (hold.wallet_id, hold.id)):
            yield _settlement(hold, entries.get((hold.id, hold.wallet_id), []), interactions.get(hold.id, []))

    def unheld(self) -> Generator[InteractionId, None, None]:
        yield from (row.id for row in self._tables.interactions.rows() if self._tables.holds.get(row.hold_id) is None)

    def purchases(self) -> Generator[Purchase, None, None]:
        for payment in self._tables.payments.rows():
            subject = Subject(PAYMENT, payment.id)
            found = [
                entry
                for entry in self._tables.entries.rows()
                if (entry.cause.subject, entry.wallet_id) == (subject, payment.wallet_id)
            ]
            user = self._tables.users.get(payment.user_id)
            yield _purchase(payment, found, user.wallet_id if user else None)

    def key_uses(self) -> Generator[KeyUsage, None, None]:
        found = [row for row in self._tables.interactions.rows() if row.api_key_id is not None]
        months, caps = list(self._tables.months.rows()), {}
        for key in self._tables.api_keys.rows():
            caps[key.id] = key.monthly_cap
            of_key = [row for row in found if row.api_key_id == key.id]
            yield KeyUsage(
                api_key_id=key.id,
                used=sum(month.used for month in months if month.api_key_id == key.id),
                found=sum(map(_counted, of_key)),
                by_others=sum(row.user_id != key.user_id for row in of_key),
            )
        for month in months:
            of_month = [
                row
                for row in found
                if row.api_key_id == month.api_key_id and month.starts_at <= row.created_at < month.ends_at
            ]
            yield KeyUsage(
                api_key_id=month.api_key_id,
                month=month.starts_at,
                month_ends=month.ends_at,
                used=month.used,
                found=sum(map(_counted, of_month)),
                cap=month.monthly_cap,
                key_cap=caps.get(month.api_key_id),
            )

    def recorded(self) -> Generator[RecordedEntry, None, None]:
        records = {str(record.id): record for record in self._tables.audit_trail.rows()}
        began = min((record.at for record in records.values()), default=None)
        for entry in self._tables.entries.rows():
            record = records.pop(entry.id, None)
            if record or (_was_made_by_a_person(entry) and began and entry.created_at >= began):
                yield _recorded(entry.id, entry, record)
        for record in records.values():
            if record.action in RECORDED:
                yield _recorded(record.id, None, record)

    def trail_count(self) -> TrailCount:
        """Return one number twice: no record leaves the memory."""
        records = sum(1 for _ in self._tables.audit_trail.rows())
        return TrailCount(found=records, counted=records)

    def code_uses(self) -> Generator[CodeUsage, None, None]:
        codes = {str(code.id): code for code in self._tables.codes.rows()}
        found: dict[str, list[int]] = {code_id: [] for code_id in codes}
        for entry in self._tables.entries.rows():
            if entry.cause.subject and entry.cause.subject.kind == CODE:
                found.setdefault(entry.cause.subject.id, []).append(entry.amount)
        for code_id, amounts in found.items():
            code = codes.get(code_id)
            terms = (code.uses, code.credits) if code else (None, None)
            yield CodeUsage(code_id=code_id, used=len(amounts), credited=sum(amounts), uses=terms[0], credits=terms[1])

    def dangling(self) -> Generator[DanglingReference, None, None]:
        """Return nothing: the rules of the tables allow no such row."""
        yield from ()

    def missing_rules(self) -> Generator[str, None, None]:
        """Return nothing: the rules are part of the program."""
        yield from ()


def _was_made_by_a_person(entry: LedgerEntry) -> bool:
    subject = entry.cause.subject
    return entry.cause.author is not None or (subject is not None and subject.kind == CODE)


def _recorded(entry_id: str, entry: LedgerEntry | None, record: AuditRecord | None) -> RecordedEntry:
    return RecordedEntry(
        id=entry_id,
        kind=entry.kind if entry else None,
        author=entry.cause.author if entry else None,
        amount=entry.signed_amount if entry else None,
        made_at=entry.created_at if entry else None,
        action=record.action if record else None,
        actor=record.actor if record else None,
        recorded=record.after.get("amount") if record else None,
        recorded_at=record.at if record else None,
    )


def _counted(row: Interaction) -> int:
    return row.held if row.is_running else row.credits_charged


def _purchase(payment: Payment, entries: list[LedgerEntry], own_wallet: WalletId | None) -> Purchase:
    credited = [entry for entry in entries if entry.kind is EntryKind.TOP_UP]
    returned = [entry for entry in entries if entry.kind is EntryKind.ADJUSTMENT]
    last = max(credited, key=lambda entry: entry.wallet_version, default=None)
    return Purchase(
        payment_id=payment.id,
        status=payment.status,
        expected=payment.credits,
        balance_after=payment.balance_after,
        confirmed_at=payment.confirmed_at,
        entries=len(credited),
        credited=sum(entry.amount for entry in credited),
        credited_balance=last.balance_after if last else None,
        credited_at=last.created_at if last else None,
        wallet_id=payment.wallet_id,
        own_wallet=own_wallet,
        refunded_at=payment.refunded_at,
        returns=len(returned),
        returned=sum(entry.amount for entry in returned),
        returned_at=returned[-1].created_at if returned else None,
    )


def _settlement(hold: Hold, entries: list[LedgerEntry], interactions: list[Interaction]) -> Settlement:
    interaction = interactions[0] if interactions else None
    charges = [entry for entry in entries if entry.kind is EntryKind.CHARGE]
    refunds = [
        entry.amount for entry in entries if entry.kind is EntryKind.REFUND and entry.cause.subject == hold.subject
    ]
    settlement = Settlement(
        hold_id=hold.id,
        wallet_id=hold.wallet_id,
        subject=hold.subject,
        state=HoldState(hold.state),
        amount=hold.amount,
        captured=hold.captured,
        created_at=hold.created_at,
        expires_at=hold.expires_at,
        settled_at=hold.settled_at,
        refunded=hold.refunded,
        given_back=sum(refunds),
        charges=len(charges),
        charged=sum(entry.amount for entry in charges),
        interactions=len(interactions),
    )
    if charges:
        settlement.charge_of = charges[0].cause.subject
        settlement.charged_at, settlement.charged_balance = charges[0].created_at, charges[0].balance_after
    if interaction:
        settlement.interaction_id, settlement.user_id = interaction.id, interaction.user_id
        settlement.outcome, settlement.price, settlement.usage = (
            interaction.outcome,
            interaction.price,
            interaction.usage,
        )
        settlement.credits_charged, settlement.promised = interaction.credits_charged, interaction.held
        settlement.paid_by, settlement.balance_after = interaction.wallet_id, interaction.balance_after
        settlement.asked_at, settlement.finished_at = interaction.created_at, interaction.finished_at
    return settlement
