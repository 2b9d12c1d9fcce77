"""Request bodies for purchases."""

from __future__ import annotations

from pydantic import Field

from chatbill.application.billing.place_order import Order
from chatbill.application.billing.redeem import Redemption
from chatbill.entrypoints.http.shared.bodies import Body, Line


class OrderBody(Body):
    """An order: either a package or an amount of credits."""

    package: Line | None = Field(
        default=None, description="The id of a package, from `GET /billing/packages`.", examples=["small"]
    )
    amount: int | None = Field(default=None, description="Credits, without a package's bonus.")

    def to_order(self, idempotency_key: str | None) -> Order:
        """Return the command of the use case."""
        return Order(package=self.package, amount=self.amount, idempotency_key=idempotency_key)


class RedeemBody(Body):
    """A code."""

    code: Line = Field(description="As it was given to you.", examples=["7H2KQ-0WXN4-PBD8V-J6M1R-TS95E"])

    def to_order(self, address: str) -> Redemption:
        """Return the command of the use case."""
        return Redemption(code=self.code, address=address)
