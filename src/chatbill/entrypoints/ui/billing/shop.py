"""The shop: packages and amounts of credits, their confirmation and purchase, and codes."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order, Receipt
from chatbill.application.billing.redeem import Redemption
from chatbill.domain.billing.payments import Package, PaymentStatus
from chatbill.domain.shared.errors import Forbidden, InvalidRequest
from chatbill.entrypoints.ui.billing.wallet import new_balance
from chatbill.entrypoints.ui.shared.forms import plain_credits, text_fields
from chatbill.entrypoints.ui.shared.visits import NO_STORE, Visit, done
from chatbill.entrypoints.web import language
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts import credits_text

PAYABLE = ("https://", "http://")


class Shop:
    """The shop in the view of credits. `note` is what the operator says about payments."""

    def __init__(self, use_cases: UseCases, note: str) -> None:
        self._use_cases, self._billing = use_cases, use_cases.billing
        self._note = note

    def offers(self) -> dict[str, Any]:
        """Return the values of the offers."""
        return {"prices": self._billing.list_packages(), "note": self._note}

    async def price(self, visit: Visit) -> Response:
        """Return the price of an amount in words, while it is typed."""
        try:
            package = self._chosen("", visit.asked("amount"))
        except InvalidRequest:
            prices = self._billing.list_packages()
            number = language.current().number
            said = _("Type a number from {least} to {most}.").format(
                least=number(prices.min_credits), most=number(prices.max_credits)
            )
            return JSONResponse({"text": said, "known": False}, headers=NO_STORE)
        said = _("{credits} for {price}").format(credits=credits_text(package.total), price=_price(package))
        return JSONResponse({"text": said, "known": True}, headers=NO_STORE)

    async def choose(self, visit: Visit) -> Response:
        """Ask for a confirmation of what is paid and received. Its key makes sure that it is bought once."""
        chosen, amount = await text_fields(visit.request, optional=("package", "amount"))
        package = self._chosen(chosen, amount)
        fields = {"package": chosen, "amount": "" if chosen else str(package.credits), "key": uuid.uuid4().hex}
        asked = visit.text("credits/confirm.html", package=package, fields=fields, note=self._note)
        return done(put={"cb-payment": asked})

    async def buy(self, visit: Visit) -> Response:
        """Place the order that was confirmed, and say what came of it. The same key buys once."""
        package, amount, key = await text_fields(visit.request, "package", "amount", "key")
        order = Order(
            package=package or None,
            amount=None if package else plain_credits("amount", amount),
            idempotency_key=key,
        )
        receipt = await self._billing.place_order(visit.principal, order)
        balance = await new_balance(self._use_cases, visit)
        url = receipt.checkout_url if (receipt.checkout_url or "").startswith(PAYABLE) else None
        heading, said = _heading(receipt), _said(receipt)
        shown = {"receipt": receipt, "url": url, "heading": heading, "said": said, "note": self._note}
        result = visit.text("credits/result.html", **shown, balance=balance["cb-balance"])
        return done(say=said, put=balance | {"cb-payment": result})

    async def redeem(self, visit: Visit) -> Response:
        """Redeem a code."""
        (code,) = await text_fields(visit.request, "code")
        entry = await self._billing.redeem(visit.principal, Redemption(code=code, address=visit.address))
        said = _("{credits} added.").format(credits=credits_text(entry.amount))
        balance = await new_balance(self._use_cases, visit)
        return done(say=said, put=balance | {"cb-redeemed": visit.text("credits/said.html", said=said)})

    def _chosen(self, package: str, amount: str) -> Package:
        """Return what is wanted. Raises `InvalidRequest`, and `Forbidden` where nothing is sold."""
        prices = self._billing.list_packages()
        if not prices.packages:
            raise Forbidden("credits_not_sold")
        if package:
            return prices.package(package)
        credits_wanted = plain_credits("amount", amount)
        return prices.amount(prices.min_credits - 1 if credits_wanted is None else credits_wanted)


def _price(package: Package) -> str:
    return language.current().money(package.price.amount, package.price.currency)


def _heading(receipt: Receipt) -> str:
    """Return the name of the state of a purchase."""
    match receipt.payment.status:
        case PaymentStatus.CONFIRMED:
            return _("Payment received")
        case PaymentStatus.REFUNDED:
            return _("Payment refunded")
        case PaymentStatus.FAILED:
            return _("Payment failed")
        case PaymentStatus.PENDING:
            return _("Payment pending")


def _said(receipt: Receipt) -> str:
    """Return what came of a purchase in one sentence."""
    payment = receipt.payment
    match payment.status:
        case PaymentStatus.CONFIRMED | PaymentStatus.REFUNDED:
            return _("{credits} added.").format(credits=credits_text(payment.credits))
        case PaymentStatus.FAILED:
            return _("The payment failed, and nothing was added.")
        case PaymentStatus.PENDING:
            return _("{credits} will be added when the payment is confirmed.").format(
                credits=credits_text(payment.credits)
            )
