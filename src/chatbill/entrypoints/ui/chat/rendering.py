"""Functions that render results of the use cases as texts and chat messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, Literal, TypedDict

from chatbill.application.accounts.open_account import Account
from chatbill.application.chat.list_models import ModelOffer
from chatbill.domain.billing.payments import Money, Package
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import REPLY_LOST, TRIMMED, Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError, InsufficientCredits, InvalidRequest
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.ui.markdown import LiveMarkdown, escaped, literal, to_html
from chatbill.entrypoints.web.texts import credits_text, render

SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$"}
WRITING: Final = "writing…"


class Content(TypedDict):
    """The HTML of a message. Gradio would move the lines of a text that came without its type."""

    type: Literal["text"]
    text: str


class ChatMessage(TypedDict):
    """A message of the chat."""

    role: Literal["user", "assistant"]
    content: Content


Names = Mapping[ModelId, str]


def money_text(money: Money) -> str:
    """Return text such as "€4.50", or "4.50 CHF" for a currency without a symbol."""
    symbol = SYMBOLS.get(money.currency)
    return f"{symbol}{money.amount:,.2f}" if symbol else f"{money.amount:,.2f} {money.currency}"


def duration_text(milliseconds: int) -> str:
    """Return text such as "0.4 s", "12.5 s" or "2 min 5 s"."""
    seconds = milliseconds / 1_000
    if seconds < 99.95:  # noqa: PLR2004 - above it, one decimal would round to 100.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def price_text(price: Price) -> str:
    """Return text such as "1 credit", with the token parts of the price."""
    parts = [credits_text(price.per_reply)] if price.per_reply else []
    if price.per_1k_prompt_tokens:
        parts.append(f"{price.per_1k_prompt_tokens:,} per 1,000 tokens read")
    if price.per_1k_completion_tokens:
        parts.append(f"{price.per_1k_completion_tokens:,} per 1,000 tokens written")
    return " + ".join(parts) or "free"


def model_label(offer: ModelOffer) -> str:
    """Return text such as "Demo mini · 1 credit", and why the model is not available."""
    label = f"{offer.model.name} · {price_text(offer.model.price)}"
    if offer.available or not (reason := offer.status.reason):
        return label
    return f"{label} — not available: {render(reason)}"


def conversation_choices(conversations: Iterable[Conversation]) -> list[tuple[str, str]]:
    """Return the title and the id of each conversation."""
    return [(conversation.title, conversation.id) for conversation in conversations]


def identity(account: Account) -> str:
    """Return the HTML of the user's name and balance, for the head of the page."""
    return (
        f'<span class="cb-name">{escape(account.username)}</span>'
        f'<span class="cb-balance" role="status" aria-label="Balance">{credits_text(account.balance)}</span>'
    )


def user_message(text: str) -> ChatMessage:
    """Return the message exactly as the user typed it."""
    return {"role": "user", "content": _content(literal(text))}


def model_message(html: str) -> ChatMessage:
    """Return a reply, or a part of one, that was rendered from Markdown."""
    return _assistant(f'<div class="cb-md prose">{html}</div>')


def note(text: str) -> ChatMessage:
    """Return a note under a reply. It is a message of its own, so that Markdown of the reply cannot hide it."""
    return _assistant(f'<small class="cb-aside">{escaped(text)}</small>')


def error_message(text: str) -> ChatMessage:
    """Return an error, shown in the place of a reply."""
    return _assistant(f'<div class="cb-problem" role="alert">{escaped(text)}</div>')


def _assistant(html: str) -> ChatMessage:
    return {"role": "assistant", "content": _content(html)}


def _content(html: str) -> Content:
    return {"type": "text", "text": html}


def error_text(error: ChatbillError) -> str:
    """Return why a message was not accepted, and what to do."""
    if isinstance(error, InsufficientCredits):
        return (
            f"Not enough credits: this reply needs {credits_text(error.required)} and you have "
            f"{credits_text(error.available)}. Choose “Add credits” at the top of the page."
        )
    if isinstance(error, InvalidRequest):
        return " ".join(f"This {fault.field} {render(fault.description)}." for fault in error.errors)
    return render(error.description)


def reply_summary(interaction: Interaction, names: Names) -> str:
    """Return text such as "Demo mini · 1 credit · 1.2 s", and whether the reply was stopped or cached."""
    name = names.get(interaction.model, interaction.model)
    parts = [name, credits_text(interaction.credits_charged)]
    if interaction.processing_time_ms is not None:
        parts.append(duration_text(interaction.processing_time_ms))
    if interaction.outcome is Outcome.STOPPED:
        parts.append("stopped")
    if interaction.cached:
        parts.append("cached")
    return " · ".join(parts)


def partial_reply(text: str, model: ModelId, names: Names, live: LiveMarkdown | None = None) -> list[ChatMessage]:
    """Return a reply that is being written. `live` has rendered its beginning before."""
    parts = (live or LiveMarkdown()).parts(text) if text else []
    return [*map(model_message, parts), note(f"{names.get(model, model)} · {WRITING}")]


def reply_messages(interaction: Interaction, names: Names, *, failure: str | None = None) -> list[ChatMessage]:
    """Return the messages of a reply: its text, its error and its summary.

    `failure` is the error of a reply whose end could not be recorded.
    """
    if interaction.is_running and failure:
        return [error_message(failure)]
    if interaction.is_running:
        return partial_reply(interaction.reply, interaction.model, names)
    messages = [model_message(to_html(interaction.reply))] if interaction.reply else []
    if interaction.outcome not in {Outcome.COMPLETED, Outcome.STOPPED}:
        messages.append(error_message(render(interaction.error_detail or REPLY_LOST)))
        return [*messages, note(reply_summary(interaction, names))]
    if interaction.error_code and interaction.error_detail:
        messages.append(note(render(interaction.error_detail)))
    if dropped := interaction.dropped_turns:
        messages.append(note(render(Description.of(TRIMMED, dropped_turns=dropped))))
    return [*messages, note(reply_summary(interaction, names))]


def transcript(newest_first: Sequence[Interaction], names: Names) -> list[ChatMessage]:
    """Return the messages of a conversation, oldest first."""
    messages: list[ChatMessage] = []
    for interaction in reversed(newest_first):
        messages += [user_message(interaction.prompt), *reply_messages(interaction, names)]
    return messages


def package_label(package: Package) -> str:
    """Return text such as "500 credits + 50 bonus · €4.50"."""
    bonus = f" + {package.bonus:,} bonus" if package.bonus else ""
    return f"{credits_text(package.credits)}{bonus} · {money_text(package.price)}"


def shop_text(packages: Sequence[Package], note: str) -> str:
    """Return the note of a shop with packages, or how credits are added where there is none."""
    return note if packages else render(Description.of("credits_not_sold"))


def order_text(package: Package, note: str) -> str:
    """Return the price and the credits of a package, and a note."""
    return f"You pay **{money_text(package.price)}** and receive **{credits_text(package.total)}**. {note}".strip()
