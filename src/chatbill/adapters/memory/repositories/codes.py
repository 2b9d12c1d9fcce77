"""Codes that redeem credits, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.billing.codes import RedeemCode
from chatbill.domain.billing.subjects import CODE, Subject
from chatbill.domain.shared.ids import CodeId, WalletId


class MemoryCodes:
    """Codes, unique by their digest."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def newest(self, *, after: Position | None, limit: int) -> list[RedeemCode]:
        return newest(self._tables.codes.rows(), lambda code: (code.created_at, code.id), after)[:limit]

    def used(self, code_ids: Sequence[CodeId]) -> dict[CodeId, int]:
        subjects = (entry.cause.subject for entry in self._tables.entries.rows())
        counts = Counter(subject.id for subject in subjects if subject and subject.kind == CODE)
        return {code_id: counts[code_id] for code_id in code_ids if counts[code_id]}

    def was_redeemed(self, code_id: CodeId, wallet_id: WalletId) -> bool:
        redeemed = Subject(CODE, code_id), wallet_id
        return any((entry.cause.subject, entry.wallet_id) == redeemed for entry in self._tables.entries.rows())

    def lock(self, code_id: CodeId) -> RedeemCode | None:
        return self._tables.codes.get(code_id)

    def lock_by_digest(self, digest: str) -> RedeemCode | None:
        return next((code for code in self._tables.codes.rows() if code.digest == digest), None)

    def add(self, code: RedeemCode) -> None:
        require_row(self._tables.users.get, code.created_by, "user")
        self._tables.unique("redeem_codes.digest", code.digest, code.id)
        self._tables.codes.insert(code.id, code)

    def save(self, code: RedeemCode) -> None:
        require_row(self._tables.users.get, code.withdrawn_by, "user")
        self._tables.codes.replace(code.id, code)
