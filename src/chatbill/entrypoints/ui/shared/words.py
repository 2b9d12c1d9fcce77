"""Words for the kinds of transactions, for what they were for, and for the ends of replies."""

from __future__ import annotations

from collections.abc import Mapping

from chatbill.application.assembly import UseCases
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts import render


def kinds() -> dict[str, str]:
    """Return the word for each kind of transaction."""
    return {
        EntryKind.GRANT: _("Gift"),
        EntryKind.TOP_UP: _("Purchase"),
        EntryKind.CHARGE: _("Charge"),
        EntryKind.REFUND: _("Refund"),
        EntryKind.ADJUSTMENT: _("Adjustment"),
    }


def outcomes() -> dict[str, str]:
    """Return the word for each outcome of a request."""
    return {
        Outcome.RUNNING: _("being written"),
        Outcome.COMPLETED: _("completed"),
        Outcome.STOPPED: _("stopped"),
        Outcome.FAILED: _("failed"),
        Outcome.TIMED_OUT: _("took too long"),
        Outcome.INTERRUPTED: _("interrupted"),
    }


def names_of_models(use_cases: UseCases) -> dict[str, str]:
    """Return the name of each model on offer, by its id."""
    return {offer.model.id: offer.model.name for offer in use_cases.chat.list_models()}


def description_text(description: Description, models: Mapping[str, str]) -> str:
    """Return what a transaction was for. A reply names its model as people know it."""
    model = str(description.params.get("model"))
    if description.code == "reply" and model in models:
        return _("Reply by {model}").format(model=models[model])
    return render(description)
