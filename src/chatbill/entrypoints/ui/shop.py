"""Adding credits: pick a package, see what is paid and received, confirm once."""

from __future__ import annotations

import uuid
from typing import TypedDict

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order, Receipt
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.wording import credits_text
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.view import View
from chatbill.entrypoints.ui.widgets import Updates, Widgets


class Chosen(TypedDict):
    """A package, and the key under which it is bought once however often the button is pressed."""

    package: str
    key: str


class Shop:
    """The handlers of the panel where credits are bought."""

    def __init__(self, use_cases: UseCases, widgets: Widgets, config: WebConfig) -> None:
        self._use_cases = use_cases
        self._shelf = widgets.shop
        self._view = View(use_cases=use_cases, widgets=widgets)
        self._note = config.payment_note

    async def open(self, request: gr.Request) -> Updates:
        """Show what is for sale."""
        await self._view.principal(request)
        packages = self._use_cases.billing.list_packages().packages
        choices = [(rendering.package_label(package), package.id) for package in packages]
        first = packages[0].id if packages else None
        words = "" if packages else "There is nothing for sale here. Ask the operator for credits."
        return {
            **self._step("pick" if packages else "done", words),
            self._shelf.packages: gr.update(choices=choices, value=first, visible=bool(packages)),
        }

    async def choose(self, package_id: str | None, request: gr.Request) -> Updates:
        """Show what will be paid and received, before anything happens."""
        await self._view.principal(request)
        try:
            package = self._use_cases.billing.list_packages().package(package_id or "")
        except ChatbillError as error:
            return self._step("pick", str(error))
        chosen: Chosen = {"package": package.id, "key": uuid.uuid4().hex}
        return {**self._step("confirm", rendering.order_text(package, self._note)), self._shelf.order: chosen}

    async def confirm(self, chosen: Chosen | None, request: gr.Request) -> Updates:
        """Buy what was shown."""
        principal = await self._view.principal(request)
        if chosen is None:
            return self._step("pick", "Choose a package first.")
        order = Order(package=chosen["package"], idempotency_key=chosen["key"])
        try:
            receipt = await self._use_cases.billing.place_order(principal, order)
        except ChatbillError as error:
            return self._step("done", str(error))
        return {**self._step("done", _words(receipt)), **await self._view.identity(principal)}

    async def close(self) -> Updates:
        """Put the panel away."""
        return {self._shelf.panel: gr.update(visible=False), self._shelf.order: None}

    def _step(self, step: str, words: str) -> Updates:
        """The panel with the buttons of one step."""
        shelf = self._shelf
        return {
            shelf.panel: gr.update(visible=True),
            shelf.words: gr.update(value=words, visible=bool(words)),
            shelf.packages: gr.update(visible=step == "pick"),
            shelf.choose: gr.update(visible=step == "pick"),
            shelf.confirm: gr.update(visible=step == "confirm"),
            shelf.back: gr.update(visible=step == "confirm"),
        }


def _words(receipt: Receipt) -> str:
    payment = receipt.payment
    if receipt.checkout_url:
        return f"[Pay {rendering.money_text(payment.price)} at the payment provider]({receipt.checkout_url})"
    return f"**{credits_text(payment.credits)} added.** Your balance is up to date."
