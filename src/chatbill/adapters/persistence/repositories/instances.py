"""The leases of processes, one row each."""

from __future__ import annotations

from sqlalchemy import Delete

from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, upsert
from chatbill.adapters.persistence.sql.tables import instances
from chatbill.domain.shared.ids import InstanceId

_RENEW = upsert(instances)
_ALL = Statement(all_of(instances))
_FORGET = Statement(Delete(instances).where(equals(instances.c.id)))


class SqlInstances:
    """Processes, and how often each has renewed its lease."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def renew(self, instance_id: InstanceId, renewals: int) -> None:
        self._connection.put(_RENEW, id=instance_id, renewals=renewals)

    def all(self) -> dict[InstanceId, int]:
        return {InstanceId(id_): renewals for id_, renewals in self._connection.stream(_ALL)}

    def forget(self, instance_id: InstanceId) -> None:
        self._connection.put(_FORGET, id=instance_id)
