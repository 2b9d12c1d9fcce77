"""Words for the kinds of transactions and the ends of replies."""

from __future__ import annotations

from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from chatbill.entrypoints.web.language import gettext as _


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
