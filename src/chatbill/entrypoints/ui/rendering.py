"""Pure functions that put what the application says into words and messages of the chat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, TypedDict

from chatbill.application.accounts.register import Account
from chatbill.application.chat.list_models import ModelOffer
from chatbill.domain.billing.payments import Money, Package
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import ChatbillError, InsufficientCredits, InvalidRequest
from chatbill.domain.shared.ids import ModelId
from chatbill.domain.shared.wording import credits_text
from chatbill.entrypoints.web.texts import render

SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$"}
WRITING: Final = "writing…"
LOST: Final = "The reply was lost; nothing was charged."

_CODE = re.compile(
    r"(^ {0,3}```.*?(?:^ {0,3}```|\Z)|^ {0,3}~~~.*?(?:^ {0,3}~~~|\Z)|`[^`\n]+`)", re.DOTALL | re.MULTILINE
)
_TAG = re.compile(r"<(?=[a-z/!?])(?!br ?/?>)", re.IGNORECASE)
_IMAGE = re.compile(r"!\[")


class ChatMessage(TypedDict):
    """One bubble of the chat."""

    role: str
    content: str


Names = Mapping[ModelId, str]


def money_text(money: Money) -> str:
    """Such as "€4.50", or "4.50 CHF" where the currency has no sign here."""
    symbol = SYMBOLS.get(money.currency)
    return f"{symbol}{money.amount:,.2f}" if symbol else f"{money.amount:,.2f} {money.currency}"


def duration_text(milliseconds: int) -> str:
    """Such as "0.4 s", "12.5 s", "2 min 5 s"."""
    seconds = milliseconds / 1_000
    if seconds < 99.95:  # noqa: PLR2004 - where one decimal would round to 100.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def price_text(price: Price) -> str:
    """Such as "1 credit", with the token parts where there are any."""
    parts = [credits_text(price.per_reply)] if price.per_reply else []
    if price.per_1k_prompt_tokens:
        parts.append(f"{price.per_1k_prompt_tokens:,} per 1,000 tokens read")
    if price.per_1k_completion_tokens:
        parts.append(f"{price.per_1k_completion_tokens:,} per 1,000 tokens written")
    return " + ".join(parts) or "free"


def model_label(offer: ModelOffer) -> str:
    """Such as "Demo mini · 1 credit", and why where it cannot answer now."""
    label = f"{offer.model.name} · {price_text(offer.model.price)}"
    if offer.available or not (reason := offer.status.reason):
        return label
    return f"{label} — not available: {render(reason)}"


def conversation_choices(conversations: Iterable[Conversation]) -> list[tuple[str, str]]:
    """Title and id of each."""
    return [(conversation.title, conversation.id) for conversation in conversations]


def identity(account: Account) -> str:
    """The person's name and balance, for the head of the page."""
    return (
        f'<span class="cb-name">{escape(account.username)}</span>'
        f'<span class="cb-balance" role="status" aria-label="Balance">{credits_text(account.balance)}</span>'
    )


def person_said(text: str) -> ChatMessage:
    """The person's words exactly as typed: no Markdown, no HTML, no formulas."""
    return {"role": "user", "content": f'<pre class="cb-said">{literally(text)}</pre>'}


def literally(text: str) -> str:
    """Text for HTML inside Markdown, in which no character means anything but itself."""
    return "".join(char if char.isalnum() or char == " " else f"&#{ord(char)};" for char in text)


def said(text: str) -> ChatMessage:
    """What the model wrote, as Markdown without HTML or images, which the page cleans once more."""
    return {"role": "assistant", "content": inert(text)}


def inert(markdown: str) -> str:
    """Markdown that loads nothing: outside code, tags are shown as typed and images become links."""
    parts = _CODE.split(markdown)
    # Odd parts are code, which the page shows as it is.
    return "".join(part if index % 2 else _IMAGE.sub("[", _TAG.sub("&lt;", part)) for index, part in enumerate(parts))


def aside(text: str) -> ChatMessage:
    """Small print under a reply. It is a message of its own, so that no Markdown of the reply can swallow it."""
    return {"role": "assistant", "content": f'<small class="cb-aside">{literally(text)}</small>'}


def problem(text: str) -> ChatMessage:
    """ServerError, in words, where the reply would be."""
    return {"role": "assistant", "content": f'<div class="cb-problem" role="alert">{literally(text)}</div>'}


def refusal_text(error: ChatbillError) -> str:
    """Why a message was not taken, and what to do."""
    if isinstance(error, InsufficientCredits):
        return (
            f"Not enough credits: this reply needs {credits_text(error.required)} and you have "
            f"{credits_text(error.available)}. Choose “Add credits” at the top of the page."
        )
    if isinstance(error, InvalidRequest):
        return " ".join(f"This {fault.field} {fault.message}." for fault in error.errors)
    return render(error.description)


def small_print(interaction: Interaction, names: Names) -> str:
    """Such as "Demo mini · 1 credit · 1.2 s", whether it was stopped, and whether it was kept from before."""
    name = names.get(interaction.model, interaction.model)
    parts = [name, credits_text(interaction.credits_charged)]
    if interaction.processing_time_ms is not None:
        parts.append(duration_text(interaction.processing_time_ms))
    if interaction.outcome is Outcome.STOPPED:
        parts.append("stopped")
    if interaction.cached:
        parts.append("cached")
    return " · ".join(parts)


def being_written(text: str, model: ModelId, names: Names) -> list[ChatMessage]:
    """A reply so far."""
    messages = [said(text)] if text else []
    return [*messages, aside(f"{names.get(model, model)} · {WRITING}")]


def answer(interaction: Interaction, names: Names, *, trouble: str | None = None) -> list[ChatMessage]:
    """What came back for one request: the reply, trouble if there was any, and the small print.

    `trouble` is what went wrong with a request whose end could not be recorded.
    """
    if interaction.is_running and trouble:
        return [problem(trouble)]
    if interaction.is_running:
        return being_written(interaction.reply, interaction.model, names)
    messages = [said(interaction.reply)] if interaction.reply else []
    if interaction.outcome not in {Outcome.COMPLETED, Outcome.STOPPED}:
        messages.append(problem(interaction.error_detail or LOST))
    return [*messages, aside(small_print(interaction, names))]


def transcript(newest_first: Sequence[Interaction], names: Names) -> list[ChatMessage]:
    """A whole conversation, oldest first."""
    messages: list[ChatMessage] = []
    for interaction in reversed(newest_first):
        messages += [person_said(interaction.prompt), *answer(interaction, names)]
    return messages


def package_label(package: Package) -> str:
    """Such as "500 credits + 50 bonus · €4.50"."""
    bonus = f" + {package.bonus:,} bonus" if package.bonus else ""
    return f"{credits_text(package.credits)}{bonus} · {money_text(package.price)}"


def order_text(package: Package, note: str) -> str:
    """What will be paid and received."""
    return f"You pay **{money_text(package.price)}** and receive **{credits_text(package.total)}**. {note}".strip()
