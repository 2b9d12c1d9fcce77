"""Request bodies of administrators."""

from __future__ import annotations

from pydantic import Field

from chatbill.application.administration.admin_action import AdminAction
from chatbill.entrypoints.http.shared.bodies import Body


class CreditsBody(Body):
    """An adjustment of a wallet, and its reason."""

    amount: int = Field(description="Credits to add, or to take if negative.", examples=[25])
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["Sorry for the outage"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """Return the command of the use case."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)


class RefundBody(Body):
    """A refund, and its reason."""

    amount: int | None = Field(default=None, description="Credits to give back; the rest of the charge if left out.")
    reason: str = Field(description="1 to 500 characters; it stays in the ledger.", examples=["The reply was useless"])

    def to_order(self, idempotency_key: str | None) -> AdminAction:
        """Return the command of the use case."""
        return AdminAction(reason=self.reason, idempotency_key=idempotency_key)
