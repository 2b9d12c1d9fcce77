"""Everything that the audit reads."""

from __future__ import annotations

from collections.abc import Iterator

from chatbill.adapters.memory.repositories.api_keys import MemoryApiKeys
from chatbill.adapters.memory.repositories.interactions import MemoryInteractions
from chatbill.adapters.memory.repositories.ledger import MemoryLedger
from chatbill.adapters.memory.repositories.payments import MemoryPayments
from chatbill.adapters.memory.repositories.wallets import MemoryHolds, MemoryWallets
from chatbill.domain.audit import KeyUse, Purchase, Settlement
from chatbill.domain.chat import Interaction
from chatbill.domain.ids import (
    HoldId,
    InteractionId,
    WalletId,
)
from chatbill.domain.ledger import EntryKind, LedgerEntry
from chatbill.domain.payments import Payment, PaymentStatus
from chatbill.domain.wallets import Hold, HoldState, Wallet


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
