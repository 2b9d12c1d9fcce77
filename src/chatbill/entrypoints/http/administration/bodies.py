"""Request bodies of administrators."""

from __future__ import annotations

from pydantic import Field

from chatbill.application.administration.admin_action import AdminAction
from chatbill.entrypoints.http.shared.bodies import Body


class CreditsBody(Body):
    """Credits to move by hand, and why."""

    amount: int = Field(description="Credits to add; to take, where it is negative.", examples=[25])
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["Sorry for the outage"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """As the use case takes it."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)


class RefundBody(Body):
    """A charge to give back, and why."""

    amount: int | None = Field(default=None, description="Credits to give back; left out: all that is left.")
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["The reply was useless"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """As the use case takes it."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)
