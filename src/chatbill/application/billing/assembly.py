"""The use cases of billing: balance, orders, payments, events."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from chatbill.application.billing.charges import Charges
from chatbill.application.billing.confirm_payment import ConfirmPayment
from chatbill.application.billing.list_events import ListEvents
from chatbill.application.billing.list_packages import ListPackages
from chatbill.application.billing.list_transactions import ListTransactions
from chatbill.application.billing.place_order import PlaceOrder
from chatbill.application.billing.read_balance import ReadBalance
from chatbill.application.billing.read_balances import ReadBalances
from chatbill.application.billing.read_refunds import ReadRefunds
from chatbill.application.billing.redeem import Redeem
from chatbill.application.policy import Policy
from chatbill.application.ports.provider import PortProvider


class BillingUseCases:
    """Balance, orders, payments, events, and charges for work of any kind.

    `payment_provider` is the name of the provider, or "none" where no credits are sold.
    """

    def __init__(self, ports: PortProvider, policy: Policy) -> None:
        self._ports = ports
        store, clock, new_id = ports.store, ports.clock, ports.new_id
        provider = ports.payments
        prices = policy.prices if provider else replace(policy.prices, packages=())
        self.payment_provider = provider.name if provider else "none"
        self.charges = Charges(store=store, clock=clock, new_id=new_id, settle_attempts=policy.settle_attempts)
        self.confirm_payment = ConfirmPayment(store=store, clock=clock, new_id=new_id)
        self.list_events = ListEvents(store=store)
        self.list_packages = ListPackages(prices=prices)
        self.list_transactions = ListTransactions(store=store)
        self.place_order = PlaceOrder(
            store=store,
            provider=provider,
            confirm_payment=self.confirm_payment,
            prices=prices,
            rate_limits=ports.rate_limits,
            limit=policy.top_ups,
            clock=clock,
            new_id=new_id,
        )
        self.read_balance = ReadBalance(store=store)
        self.read_balances = ReadBalances(store=store)
        self.read_refunds = ReadRefunds(store=store)

    @cached_property
    def redeem(self) -> Redeem:
        """Return the use case of codes. Made when it is used, because applications that charge alone have no tokens."""
        ports = self._ports
        return Redeem(
            store=ports.store,
            tokens=ports.tokens,
            rate_limits=ports.rate_limits,
            clock=ports.clock,
            new_id=ports.new_id,
        )
