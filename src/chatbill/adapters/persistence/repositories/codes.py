"""Codes that redeem credits, in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, func, literal_column, select

from chatbill.adapters.persistence.mapping import Mapping
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Among, Statement, all_of, equals, limit, locking, past, update
from chatbill.adapters.persistence.sql.tables import ledger_entries, redeem_codes
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.billing.codes import RedeemCode
from chatbill.domain.billing.subjects import CODE
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import CodeId, WalletId

_CODES = Mapping(redeem_codes, RedeemCode)
_C, _E = redeem_codes.c, ledger_entries.c
_LOCK = Statement(locking(all_of(redeem_codes, equals(_C.id))))
_LOCK_BY_DIGEST = Statement(locking(all_of(redeem_codes, equals(_C.digest))))
_PAGE = all_of(redeem_codes).order_by(_C.created_at.desc(), _C.id.desc()).limit(limit())
_FIRST_PAGE, _NEXT_PAGE = Statement(_PAGE), Statement(_PAGE.where(past(_C.created_at, _C.id)))
# Written out, not a parameter: only so does the partial index serve.
_OF_CODE = _E.subject_kind == literal_column(f"'{CODE}'")
_USED = Statement(select(_E.subject_id, func.count()).where(_OF_CODE, Among(_E.subject_id)).group_by(_E.subject_id))
_REDEEMED = Statement(
    select(_E.id).where(_OF_CODE, _E.subject_id == bindparam("code_id"), equals(_E.wallet_id)).limit(limit())
)
_SAVE = update(redeem_codes, *_CODES.changing, where=(equals(_C.id),))


class SqlCodes:
    """Codes, unique by their digest."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self, *, after: Position | None, limit: int) -> list[RedeemCode]:
        if after is None:
            rows = self._connection.stream(_FIRST_PAGE, limit=limit)
        else:
            rows = self._connection.stream(_NEXT_PAGE, limit=limit, after_at=after.at, after_id=after.id)
        return list(map(_CODES.read, rows))

    def used(self, code_ids: Sequence[CodeId]) -> dict[CodeId, int]:
        rows = self._connection.stream(_USED, among=json.dumps(code_ids))
        return {CodeId(code_id): int(count) for code_id, count in rows}

    def was_redeemed(self, code_id: CodeId, wallet_id: WalletId) -> bool:
        return self._connection.one(_REDEEMED, code_id=code_id, wallet_id=wallet_id, limit=1) is not None

    def lock(self, code_id: CodeId) -> RedeemCode | None:
        return _CODES.one(self._connection.one(_LOCK, id=code_id))

    def lock_by_digest(self, digest: str) -> RedeemCode | None:
        return _CODES.one(self._connection.one(_LOCK_BY_DIGEST, digest=digest))

    def add(self, code: RedeemCode) -> None:
        self._connection.put(_CODES.add, **_CODES.values(code))

    def save(self, code: RedeemCode) -> None:
        self._connection.put(
            _SAVE, **_CODES.changes(code), or_else=lambda: InvariantViolation(f"code {code.id} does not exist")
        )
