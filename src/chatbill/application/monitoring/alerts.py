"""List alerts, and acknowledge one."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.monitoring.alerts import Alert
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import AlertId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAlerts:
    """List alerts, newest first. Raises `Forbidden`, `InvalidRequest`."""

    store: Store

    async def __call__(
        self, principal: Principal, filters: AlertFilter, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[Alert]:
        """Return one page of the alerts that are selected."""
        require_permission(principal, Permission.READ_USE)
        limit, after = checked_limit(limit), decode_position(cursor)
        rows = await self.store.read(lambda snapshot: snapshot.alerts.newest(filters, after=after, limit=limit + 1))
        return page_of(rows, limit, lambda alert: encode_position(alert.opened_at, alert.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlert:
    """Say that a person knows of an alert, which is not notified again then. Raises `Forbidden`, `NotFound`."""

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, alert_id: AlertId) -> Alert:
        """Return the alert as it is now. One that is acknowledged already is returned as it is."""
        require_permission(principal, Permission.OPERATE)
        now = self.clock()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> Alert:
            alert = tx.alerts.lock(alert_id)
            if alert is None:
                raise NotFound("alert")
            if alert.acknowledged_at is not None:
                return alert
            acknowledged = alert.acknowledged(principal.user_id, at=now)
            tx.alerts.save(acknowledged)
            act.record(tx, AuditAction.ALERT_ACKNOWLEDGED, ("alert", alert.id), after={"kind": alert.kind.value})
            return acknowledged

        return await self.store.write(work)
