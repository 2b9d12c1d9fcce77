"""Prices in credits, and the most and the exact amount that a reply can cost."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.domain.shared.errors import InvariantViolation

TOKENS_PER_UNIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens read and written by one reply, as the model's own tokenizer counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a reply, in whole credits.

    `per_reply` is due for every reply that is charged at all; the two token parts are credits for each
    1,000 tokens. The token parts are added first and rounded up once, so a price never loses a fraction.
    """

    per_reply: int
    per_1k_prompt_tokens: int = 0
    per_1k_completion_tokens: int = 0

    def __post_init__(self) -> None:
        if min(self.per_reply, self.per_1k_prompt_tokens, self.per_1k_completion_tokens) < 0:
            raise InvariantViolation("a price cannot be negative")

    def percent(self, part: int) -> Price:
        """Return `part` percent of this price (0 to 100), with each component rounded up to a whole credit."""
        return Price(
            per_reply=-(-self.per_reply * part // 100),
            per_1k_prompt_tokens=-(-self.per_1k_prompt_tokens * part // 100),
            per_1k_completion_tokens=-(-self.per_1k_completion_tokens * part // 100),
        )

    def of(self, usage: Usage) -> int:
        """Return the exact price of a reply with this usage, in credits. Never falls when usage grows."""
        scaled = (
            usage.prompt_tokens * self.per_1k_prompt_tokens + usage.completion_tokens * self.per_1k_completion_tokens
        )
        return self.per_reply + -(-scaled // TOKENS_PER_UNIT)
