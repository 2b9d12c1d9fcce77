"""The settings with parts of their own: the prices of models and of credits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chatbill.domain.billing.payments import Money, Package
from chatbill.domain.billing.prices import Price

Credits = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
Amount = Annotated[Decimal, Field(gt=0, max_digits=12)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Part(BaseModel):
    """A part of a setting. Unknown names in it are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceSetting(Part):
    """The price of a reply in credits. A number alone is its `per_reply`."""

    per_reply: Credits = 0
    per_1k_prompt_tokens: Credits = 0
    per_1k_completion_tokens: Credits = 0

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, value: Any) -> Any:
        return {"per_reply": value} if isinstance(value, int) and not isinstance(value, bool) else value

    def to_domain(self) -> Price:
        """Return the price as the domain has it."""
        return Price(
            per_reply=self.per_reply,
            per_1k_prompt_tokens=self.per_1k_prompt_tokens,
            per_1k_completion_tokens=self.per_1k_completion_tokens,
        )


class MoneySetting(Part):
    """An amount as a decimal string, and its currency by ISO 4217."""

    amount: Annotated[Amount, Field(decimal_places=2)]
    currency: Currency


class PackageSetting(Part):
    """Credits sold together, with a bonus on top."""

    id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,31}$")]
    credits: Annotated[Credits, Field(gt=0)]
    bonus: Credits = 0
    price: MoneySetting

    def to_domain(self) -> Package:
        """Return the package as the domain has it."""
        price = Money(self.price.amount, self.price.currency)
        return Package(id=self.id, credits=self.credits, bonus=self.bonus, price=price)


DEFAULT_PACKAGES = tuple(
    PackageSetting(id=name, credits=paid, bonus=bonus, price=MoneySetting(amount=Decimal(amount), currency="USD"))
    for name, paid, bonus, amount in (
        ("small", 100, 0, "4.99"),
        ("medium", 500, 50, "19.99"),
        ("large", 1_500, 300, "49.99"),
    )
)
