"""The balance in the view of credits."""

from __future__ import annotations

import asyncio
from typing import Any

from chatbill.application.assembly import UseCases
from chatbill.entrypoints.ui.shared.visits import Visit
from chatbill.entrypoints.web.texts import credits_text


async def wallet_of(use_cases: UseCases, visit: Visit) -> dict[str, Any]:
    """Return the values of the balance: the wallet, whether it is low, and what own limits leave."""
    wallet, limits = await asyncio.gather(
        use_cases.billing.read_balance(visit.principal), use_cases.accounts.read_limits(visit.principal)
    )
    threshold = visit.account.low_balance
    return {"wallet": wallet, "limits": limits, "is_low": threshold is not None and wallet.available < threshold}


async def new_balance(use_cases: UseCases, visit: Visit) -> dict[str, str]:
    """Return what an action that moved credits puts into the page, so that every balance in it changes at once."""
    values = await wallet_of(use_cases, visit)
    return {
        "cb-balance": credits_text(values["wallet"].posted),
        "cb-wallet": visit.text("credits/wallet.html", **values),
    }
