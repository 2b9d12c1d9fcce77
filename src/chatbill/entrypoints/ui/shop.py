"""The handlers of the panel where credits are bought."""

from __future__ import annotations

import uuid
from typing import TypedDict

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order, Receipt
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.view import View
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import credits_text, render


class SelectedPackage(TypedDict):
    """A package, and the idempotency key with which it is bought only once."""

    package: str
    key: str


class Shop:
    """The handlers of the panel where credits are bought."""

    def __init__(self, use_cases: UseCases, widgets: Widgets, config: WebConfig) -> None:
        self._use_cases = use_cases
        self._widgets = widgets.shop
        self._view = View(use_cases=use_cases, widgets=widgets)
        self._note = config.payment_note

    async def open(self, request: gr.Request) -> Updates:
        """Show the packages on sale."""
        await self._view.principal(request)
        packages = self._use_cases.billing.list_packages().packages
        choices = [(rendering.package_label(package), package.id) for package in packages]
        first = packages[0].id if packages else None
        return {
            **self._step("pick" if packages else "done", rendering.shop_text(packages, self._note)),
            self._widgets.packages: gr.update(choices=choices, value=first, visible=bool(packages)),
        }

    async def choose(self, package_id: str | None, request: gr.Request) -> Updates:
        """Show the price and the credits of the selected package."""
        await self._view.principal(request)
        try:
            package = self._use_cases.billing.list_packages().package(package_id or "")
        except ChatbillError as error:
            return self._step("pick", render(error.description))
        selected: SelectedPackage = {"package": package.id, "key": uuid.uuid4().hex}
        return {**self._step("confirm", rendering.order_text(package, self._note)), self._widgets.order: selected}

    async def confirm(self, selected: SelectedPackage | None, request: gr.Request) -> Updates:
        """Buy the selected package."""
        principal = await self._view.principal(request)
        if selected is None:
            return self._step("pick", "Choose a package first.")
        order = Order(package=selected["package"], idempotency_key=selected["key"])
        try:
            receipt = await self._use_cases.billing.place_order(principal, order)
        except ChatbillError as error:
            return self._step("done", render(error.description))
        return {**self._step("done", _receipt_text(receipt)), **await self._view.identity(principal)}

    async def close(self) -> Updates:
        """Close the panel."""
        return {self._widgets.panel: gr.update(visible=False), self._widgets.order: None}

    def _step(self, step: str, text: str) -> Updates:
        """Return the panel with the text and the buttons of one step."""
        widgets = self._widgets
        return {
            widgets.panel: gr.update(visible=True),
            widgets.text: gr.update(value=text, visible=bool(text)),
            widgets.packages: gr.update(visible=step == "pick"),
            widgets.choose: gr.update(visible=step == "pick"),
            widgets.confirm: gr.update(visible=step == "confirm"),
            widgets.back: gr.update(visible=step == "confirm"),
        }


def _receipt_text(receipt: Receipt) -> str:
    payment = receipt.payment
    if receipt.checkout_url:
        return f"[Pay {rendering.money_text(payment.price)} at the payment provider]({receipt.checkout_url})"
    return f"**{credits_text(payment.credits)} added.** Your balance is up to date."
