"""Second factors, in SQL."""

from __future__ import annotations

from sqlalchemy import Delete

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, update
from chatbill.adapters.persistence.sql.tables import second_factors
from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import UserId

_DIGESTS = Part(
    "recovery_digests",
    ("recovery_digests",),
    lambda text: tuple(text.split()),
    lambda digests: (" ".join(digests),),
)
_FACTORS = Mapping(second_factors, SecondFactor, _DIGESTS)
_OF_USER = equals(second_factors.c.user_id)
_GET = Statement(all_of(second_factors, _OF_USER))
_SAVE = update(second_factors, *_FACTORS.changing, where=(_OF_USER,))
_REMOVE = Statement(Delete(second_factors).where(_OF_USER))


class SqlSecondFactors:
    """Second factors by their user."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId) -> SecondFactor | None:
        return _FACTORS.one(self._connection.one(_GET, user_id=user_id))

    def add(self, factor: SecondFactor) -> None:
        self._connection.put(_FACTORS.add, **_FACTORS.values(factor))

    def save(self, factor: SecondFactor) -> None:
        self._connection.put(
            _SAVE,
            **_FACTORS.changes(factor),
            or_else=lambda: InvariantViolation(f"the second factor of {factor.user_id} does not exist"),
        )

    def remove(self, user_id: UserId) -> None:
        self._connection.put(_REMOVE, user_id=user_id)
