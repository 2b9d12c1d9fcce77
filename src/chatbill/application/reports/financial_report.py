"""The financial report: what people own, what has changed it, and the money behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.application.ports.repositories.reports import ReportReader
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.reports.reading import BEGINNING, Keys, credit_sums
from chatbill.application.reports.roll_up import RollUp
from chatbill.application.reports.series import CREDITS, CREDITS_BY_MODEL, CREDITS_BY_WALLET
from chatbill.application.reports.short_turns import short_turns
from chatbill.application.reports.usage_report import Report, ReportRow, name_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.billing.subjects import USER
from chatbill.domain.reports.finance import CreditFigures, CreditMovement, FinancialRow
from chatbill.domain.reports.periods import Bucket, ReportPeriod, bucket_at
from chatbill.domain.shared.ids import WalletId


class FinancialGroup(StrEnum):
    """What the rows of a financial report stand for."""

    DAY = "day"
    MONTH = "month"
    USER = "user"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinancialReport:
    """Report the credits and the money of a period.

    By model, a row says what its replies have taken: its opening and closing are what people own less by them, and all
    that is not for a reply is in the row without a key. So the rows of every report add up to its total.
    """

    store: Store
    roll_up: RollUp

    async def __call__(
        self, principal: Principal, period: ReportPeriod, group_by: FinancialGroup
    ) -> Report[FinancialRow]:
        """Return the report, with names of people only for those who may see people. Raises `Forbidden`."""
        require_permission(principal, Permission.READ_MONEY)
        return await self.read(period, group_by, named=Permission.READ_PEOPLE in permissions_of(principal.role))

    async def read(self, period: ReportPeriod, group_by: FinancialGroup, *, named: bool) -> Report[FinancialRow]:
        """Return the report without asking who wants it."""
        await self.roll_up.count()
        return await self.store.read(lambda snapshot: _report(snapshot, period, group_by, named=named))

    async def total(self, period: ReportPeriod) -> FinancialRow:
        """Return all credits of a period together, without asking who wants them."""
        await self.roll_up.count()

        def query(snapshot: Snapshot) -> FinancialRow:
            reader = snapshot.reports
            return FinancialRow.of(_before(reader, period.start), _all(reader, period.start, period.end))

        return await self.store.read(query)


@short_turns()
def _report(snapshot: Snapshot, period: ReportPeriod, group_by: FinancialGroup, *, named: bool) -> Report[FinancialRow]:
    reader = snapshot.reports
    if group_by in {FinancialGroup.DAY, FinancialGroup.MONTH}:
        rows, before, during = _by_time(reader, period, Bucket(group_by.value))
    else:
        rows, before, during = _by_key(reader, period, group_by)
    if group_by is FinancialGroup.USER:
        rows = [_of_owner(snapshot, row, named=named) for row in rows]
    return Report(period, group_by.value, rows, FinancialRow.of(before, during))


Sums = tuple[list[ReportRow[FinancialRow]], CreditFigures, CreditFigures]
"""The rows, and the figures of all entries before the period and during it."""


def _by_time(reader: ReportReader, period: ReportPeriod, bucket: Bucket) -> Sums:
    buckets = period.buckets(bucket)
    starts = [each.start for each in buckets]
    before, during = _before(reader, period.start), CreditFigures()
    keys: Keys[CreditMovement, int] = Keys(
        series=CREDITS,
        of_raw=lambda movement: bucket_at(starts, movement.at),
        of_rolled=lambda at, _key: bucket_at(starts, at),
        by_time=True,
    )
    sums = dict(credit_sums(reader, period.start, period.end, keys))
    rows, so_far = [], CreditFigures()
    so_far.merge(before)
    for number, each in enumerate(buckets):
        figures = sums.get(number) or CreditFigures()
        rows.append(ReportRow(each.key, FinancialRow.of(so_far, figures)))
        so_far.merge(figures)
        during.merge(figures)
    return rows, before, during


def _by_key(reader: ReportReader, period: ReportPeriod, group_by: FinancialGroup) -> Sums:
    by_model = group_by is FinancialGroup.MODEL

    def key_of(movement: CreditMovement) -> str:
        return (movement.model or "") if by_model else movement.wallet_id

    series = CREDITS_BY_MODEL if by_model else CREDITS_BY_WALLET
    keys = Keys(series=series, of_raw=key_of, of_rolled=lambda _at, key: key)
    earlier = dict(credit_sums(reader, BEGINNING, period.start, keys))
    now = dict(credit_sums(reader, period.start, period.end, keys))
    rows, before, during = [], CreditFigures(), CreditFigures()
    for key in sorted({*earlier, *now}):
        old, new = earlier.get(key) or CreditFigures(), now.get(key) or CreditFigures()
        rows.append(ReportRow(key or None, FinancialRow.of(old, new)))
        before.merge(old)
        during.merge(new)
    return rows, before, during


def _before(reader: ReportReader, moment: datetime) -> CreditFigures:
    """Return the figures of all entries before a moment."""
    return _all(reader, BEGINNING, moment)


def _all(reader: ReportReader, start: datetime, end: datetime) -> CreditFigures:
    keys: Keys[CreditMovement, str] = Keys(
        series=CREDITS_BY_MODEL, of_raw=lambda _movement: "", of_rolled=lambda _at, _key: ""
    )
    return dict(credit_sums(reader, start, end, keys)).get("") or CreditFigures()


def _of_owner(snapshot: Snapshot, row: ReportRow[FinancialRow], *, named: bool) -> ReportRow[FinancialRow]:
    """Return the row of a wallet as one of its owner: the id of a user, or the kind and the id of another owner."""
    wallet = snapshot.wallets.get(WalletId(row.key or ""))
    if wallet is None:
        return row
    if wallet.owner.kind != USER:
        return ReportRow(str(wallet.owner), row.figures)
    return ReportRow(wallet.owner.id, row.figures, name_of(snapshot, wallet.owner.id) if named else None)
