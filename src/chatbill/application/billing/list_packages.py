"""List the packages: what credits cost in money."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.domain.billing.payments import PriceList


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPackages:
    """Return the current price list."""

    prices: PriceList

    def __call__(self) -> PriceList:
        """Return the packages, and the bounds and unit price of a top-up without a package."""
        return self.prices
