"""Turns results of the use cases into what the templates of the chat show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final

from babel import numbers
from markupsafe import Markup

from chatbill.application.billing.read_refunds import Refunded
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.chat.quote_message import Quote
from chatbill.application.chat.read_branch import BranchTurn
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Tier
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import REPLY_LOST, TRIMMED, Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import InteractionId, ModelId
from chatbill.entrypoints.ui.live.growing import GrowingReply
from chatbill.entrypoints.ui.markdown import literal, to_html
from chatbill.entrypoints.web import language
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.language import ngettext
from chatbill.entrypoints.web.texts import credits_text, render

MINUTE_S: Final = 60
_DELIVERED: Final = frozenset((Outcome.COMPLETED, Outcome.STOPPED))

Names = Mapping[ModelId, str]


def duration_text(milliseconds: int) -> str:
    """Return text such as "0.4 s", "12.5 s" or "2 min 5 s"."""
    seconds = milliseconds / 1_000
    if seconds < 99.95:  # noqa: PLR2004 - above it, one decimal would round to 100.0
        number = numbers.format_decimal(seconds, format="0.0", locale=language.current().locale)
        return _("{seconds} s").format(seconds=number)
    minutes, rest = divmod(round(seconds), MINUTE_S)
    return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)


def refund_text(refunded: Refunded) -> str:
    """Return text such as "1 credit returned, Jan 2, 2026, 12:00"."""
    when = language.current().moment(refunded.at)
    return _("{credits} returned, {when}").format(credits=credits_text(refunded.credits), when=when)


def price_text(price: Price) -> str:
    """Return text such as "1 credit", with the token parts of the price."""
    number = language.current().number
    parts = [credits_text(price.per_reply)] if price.per_reply else []
    if price.per_1k_prompt_tokens:
        parts.append(_("{credits} per 1,000 tokens read").format(credits=number(price.per_1k_prompt_tokens)))
    if price.per_1k_completion_tokens:
        parts.append(_("{credits} per 1,000 tokens written").format(credits=number(price.per_1k_completion_tokens)))
    return " + ".join(parts) or _("free")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model in the menu. One with a `trouble` cannot be chosen."""

    id: ModelId
    name: str
    speed: str
    price: str
    trouble: str

    @classmethod
    def of(cls, offer: ModelOffer) -> ModelChoice:
        """Return what the menu shows of an offer."""
        model = offer.model
        reason = offer.status.reason
        trouble = render(reason) if reason else _("it cannot answer now")
        return cls(
            id=model.id,
            name=model.name,
            speed=_("fast") if model.tier is Tier.MINI else _("thorough"),
            price=price_text(model.price),
            trouble="" if offer.available else trouble,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """A message and its reply. `ended` and `open` are the blocks of a reply that is being written."""

    interaction: Interaction
    parent: str
    place: int
    count: int
    previous: InteractionId | None
    next: InteractionId | None
    model: str
    prompt: Markup
    reply: Markup
    ended: tuple[Markup, ...]
    open: Markup
    failure: str
    asides: tuple[str, ...]
    duration: str
    refund: str

    @property
    def running(self) -> bool:
        """Return True while the reply is being written."""
        return self.interaction.is_running

    @property
    def is_erased(self) -> bool:
        """Return True if its texts were erased."""
        return not self.interaction.prompt

    @property
    def remark(self) -> str:
        """Return a word on how the reply came about, beside its cost."""
        if self.interaction.temporary and self.interaction.outcome is Outcome.COMPLETED:
            return _("temporary")
        if self.interaction.outcome is Outcome.STOPPED:
            return _("stopped")
        return _("cached") if self.interaction.cached else ""

    @classmethod
    def of(
        cls, turn: BranchTurn, names: Names, growing: GrowingReply | None = None, refunded: Refunded | None = None
    ) -> TurnView:
        """Return the view of an interaction and its place among its siblings."""
        interaction, siblings = turn.interaction, turn.siblings
        place = siblings.index(interaction.id)
        took = interaction.processing_time_ms
        return cls(
            interaction=interaction,
            parent=turn.parent_id or interaction.conversation_id,
            place=place + 1,
            count=len(siblings),
            previous=siblings[place - 1] if place else None,
            next=siblings[place + 1] if place + 1 < len(siblings) else None,
            model=names.get(interaction.model, interaction.model),
            prompt=_safe(literal(interaction.prompt)),
            reply=_safe(to_html(interaction.reply) if interaction.reply else ""),
            ended=tuple(map(_safe, growing.ended)) if growing else (),
            open=_safe(growing.open if growing else ""),
            failure=failure_of(interaction),
            asides=tuple(asides_of(interaction)),
            duration="" if took is None else duration_text(took),
            refund=refund_text(refunded) if refunded else "",
        )


def _safe(html: str) -> Markup:
    """Return HTML that the package `markdown` made, which escapes and sanitizes every text."""
    return Markup(html)  # noqa: S704 - see above


def failure_of(interaction: Interaction) -> str:
    """Return why a reply failed; "" for one that did not."""
    if interaction.is_running or interaction.outcome in _DELIVERED:
        return ""
    return render(interaction.error_detail or REPLY_LOST)


def asides_of(interaction: Interaction) -> Iterator[str]:
    """Yield remarks on a reply that was delivered: what ended it, and what the model did not read."""
    if interaction.outcome not in _DELIVERED:
        return
    if interaction.error_code and interaction.error_detail:
        yield render(interaction.error_detail)
    if dropped := interaction.dropped_turns:
        yield render(Description.of(TRIMMED, dropped_turns=dropped))


def window_text(interaction: Interaction, window: int | None) -> str:
    """Return how much of a model's window the conversation fills; "" where that is unknown or less than a percent."""
    used = interaction.usage.prompt_tokens + interaction.usage.completion_tokens
    if not window or used * 100 < window:
        return ""
    share = numbers.format_percent(min(1, used / window), locale=language.current().locale)
    return _("{share} of the window is used").format(share=share)


def quote_texts(quote: Quote) -> dict[str, str | bool]:
    """Return what is shown beside Send: the most that the reply can cost, and what the model reads."""
    number = language.current().number
    cost = _("up to {most}, you have {available}")
    read = _("Reads {tokens} of {limit} tokens")
    dropped = ngettext("without the oldest message", "without the oldest {count} messages", quote.dropped_turns).format(
        count=number(quote.dropped_turns)
    )
    window = read.format(tokens=number(quote.prompt_tokens), limit=number(quote.limit))
    return {
        "text": cost.format(most=credits_text(quote.held_at_most), available=number(quote.available)),
        "window": f"{window}, {dropped}" if quote.dropped_turns else window,
        "enough": quote.held_at_most <= quote.available,
    }


@dataclass(frozen=True, slots=True)
class DayOfChats:
    """Conversations of one day. The name of the day is "" where the page before ended with the same day."""

    name: str
    chats: tuple[Conversation, ...]


def days_of(chats: Iterable[Conversation], now: datetime, after: str = "") -> tuple[list[DayOfChats], str]:
    """Return conversations by day, and the name of the last day. `after` is the last day of the page before.

    Those that are pinned come first, and are of no day.
    """
    days, last, zone = [], after, language.current().zone
    for day, group in groupby(chats, key=lambda chat: None if chat.pinned else chat.updated_at.astimezone(zone).date()):
        name = _day_name(day, now.astimezone(zone).date()) if day else _("Pinned")
        days.append(DayOfChats("" if name == last else name, tuple(group)))
        last = name
    return days, last


def _day_name(day: date, today: date) -> str:
    if day >= today:
        return _("Today")
    return _("Yesterday") if day == today - timedelta(days=1) else language.current().day(day)
