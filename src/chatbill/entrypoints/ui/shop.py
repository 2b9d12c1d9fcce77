"""The handlers of the panel where credits are bought."""

from __future__ import annotations

import uuid

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order, Receipt
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.view import View, text_of
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import credits_text, render


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

    async def choose(self, package_id: object, request: gr.Request) -> Updates:
        """Show the price and the credits of the selected package."""
        await self._view.principal(request)
        try:
            package = self._use_cases.billing.list_packages().package(text_of(package_id))
        except ChatbillError as error:
            return self._step("pick", render(error.description))
        # With this key, the package is bought only once.
        order = f"{uuid.uuid4().hex} {package.id}"
        return {**self._step("confirm", rendering.order_text(package, self._note)), self._widgets.order: order}

    async def confirm(self, selected: object, request: gr.Request) -> Updates:
        """Buy the selected package."""
        principal = await self._view.principal(request)
        key, _, package = text_of(selected).partition(" ")
        if not package:
            return self._step("pick", "Choose a package first.")
        order = Order(package=package, idempotency_key=key)
        try:
            receipt = await self._use_cases.billing.place_order(principal, order)
        except ChatbillError as error:
            return self._step("done", render(error.description))
        return {**self._step("done", _receipt_text(receipt)), **await self._view.identity(principal)}

    async def close(self) -> Updates:
        """Close the panel."""
        return {self._widgets.panel: gr.update(visible=False), self._widgets.order: ""}

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
