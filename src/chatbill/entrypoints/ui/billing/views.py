"""The view of credits: the balance, the shop, codes, transactions, spending."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from chatbill.entrypoints.ui.billing.shop import Shop
from chatbill.entrypoints.ui.billing.spending import Spending
from chatbill.entrypoints.ui.billing.transactions import Transactions
from chatbill.entrypoints.ui.billing.wallet import wallet_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shell.config import WebConfig


def credit_views(site: Site, config: WebConfig) -> None:
    """Add the view, its parts and its actions."""
    use_cases = site.use_cases
    transactions, spending = Transactions(use_cases), Spending(use_cases)
    shop = Shop(use_cases, config.payment_note)

    async def show(visit: Visit) -> Response:
        wallet, listed = await asyncio.gather(wallet_of(use_cases, visit), transactions.read(visit))
        return visit.html("credits/view.html", **wallet, **listed, **shop.offers())

    async def wallet(visit: Visit) -> Response:
        return visit.html("credits/wallet.html", **await wallet_of(use_cases, visit))

    site.view("credits", show)
    site.get("/web/credits/wallet", wallet)
    site.get("/web/credits/transactions", transactions.show)
    site.get("/web/credits/transactions/export", transactions.export)
    site.get("/web/credits/spending", spending.show)
    site.get("/web/credits/price", shop.price)
    site.post("/web/credits/choice", shop.choose)
    site.post("/web/credits/orders", shop.buy)
    site.post("/web/credits/codes", shop.redeem)
