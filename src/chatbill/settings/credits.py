"""Settings: credits and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from chatbill.settings.money import DEFAULT_PACKAGES, Amount, Currency, PackageSetting
from chatbill.settings.types import Grace, Seconds


class CreditSettings(BaseSettings):
    """Credits and what they cost."""

    cached_price_percent: int = Field(
        default=100, ge=0, le=100, description="Price of an answer to a repeated prompt, in percent of the full price."
    )
    welcome_credits: int = Field(default=100, ge=0, le=1_000_000_000, description="Credits of a new account.")
    hold_grace_s: Grace = Field(
        default=30, description="How long a hold outlives the reply's time limit before it is released, in seconds."
    )
    sweep_interval_s: Seconds = Field(default=5, description="How often expired holds are released, in seconds.")
    payments: Literal["auto", "none", "sandbox"] = Field(
        default="auto",
        description="The payment provider. `sandbox` takes no money and confirms every payment. With `none`, only "
        "administrators add credits. `auto` is `sandbox` with the demo models, and `none` with all others.",
    )
    packages: tuple[PackageSetting, ...] = Field(
        default=DEFAULT_PACKAGES,
        description="Credits on sale, as JSON; with `[]`, nothing is sold: "
        '`[{"id": "small", "credits": 100, "bonus": 0, "price": {"amount": "4.99", "currency": "USD"}}]`.',
    )
    credit_price: Amount = Field(
        default=Decimal("0.05"), decimal_places=6, description="Price of one credit, for a top-up without a package."
    )
    currency: Currency = Field(default="USD", description="Currency of the price of a credit (ISO 4217).")
    max_top_up_credits: int = Field(
        default=1_000_000, ge=1, le=1_000_000_000, description="Most credits in one top-up without a package."
    )

    max_debt_credits: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="Largest debt that an administrator's adjustment may leave in a wallet, in credits; 0: no debt.",
    )
