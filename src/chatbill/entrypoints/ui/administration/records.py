"""Lists of what happened: requests, entries of the ledger, the audit trail."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from starlette.responses import Response

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import USER
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import ModelId, UserId, WalletId
from chatbill.entrypoints.ui.administration.sections import HOME, asked, id_asked, own_zone, show
from chatbill.entrypoints.ui.shared.lists import period_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.parameters import checked_choice, checked_text
from chatbill.entrypoints.web.texts.audit import action_text, fact_text, subject_text

OUTCOMES: Final = {
    "completed": N_("completed"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "timed_out": N_("timed out"),
    "interrupted": N_("interrupted"),
    "running": N_("running"),
}
KINDS: Final = {
    "grant": N_("Gift"),
    "top_up": N_("Top-up"),
    "charge": N_("Charge"),
    "refund": N_("Refund"),
    "adjustment": N_("Adjustment"),
}


def record_views(site: Site) -> None:
    """Add the views."""
    use_cases = site.use_cases

    async def requests(visit: Visit) -> Response:
        found = asked(visit, "user", "model", "outcome", "from", "to", "q")
        user, model = id_asked(found, "user"), id_asked(found, "model")
        filters = InteractionFilter(
            user_id=UserId(user) if user else None,
            model=ModelId(model) if model else None,
            outcome=checked_choice("outcome", found.get("outcome"), Outcome),
            period=period_of(found, own_zone(visit)),
            text=checked_text("q", found.get("q")),
        )
        listed = await use_cases.reports.list_interactions(visit.principal, filters, cursor=found.get("cursor"))
        models = [(offer.model.id, offer.model.name) for offer in use_cases.chat.list_models()]
        return show(
            visit, "requests", "requests.html", page=listed.page, has_texts=listed.has_texts, asked=found,
            outcomes=OUTCOMES, models=models,
        )  # fmt: skip

    async def ledger(visit: Visit) -> Response:
        found = asked(visit, "user", "wallet", "kind", "model", "from", "to")
        user, wallet, model = (id_asked(found, name) for name in ("user", "wallet", "model"))
        filters = LedgerFilter(
            wallet_id=WalletId(wallet) if wallet else None,
            kind=checked_choice("kind", found.get("kind"), EntryKind),
            model=ModelId(model) if model else None,
            period=period_of(found, own_zone(visit)),
        )
        page = await use_cases.reports.list_ledger(
            visit.principal, filters, user_id=UserId(user) if user else None, cursor=found.get("cursor")
        )
        return show(visit, "ledger", "ledger.html", page=page, asked=found, kinds=KINDS, user_kind=USER)

    async def audit(visit: Visit) -> Response:
        found = asked(visit, "actor", "action", "subject", "from", "to")
        actor = id_asked(found, "actor")
        filters = AuditFilter(
            actor=UserId(actor) if actor else None,
            action=checked_choice("action", found.get("action"), AuditAction),
            subject=checked_text("subject", found.get("subject")),
            period=period_of(found, own_zone(visit)),
        )
        page = await use_cases.administration.list_audit_trail(visit.principal, filters, cursor=found.get("cursor"))
        actions = sorted(((each.value, action_text(each)) for each in AuditAction), key=itemgetter(1))
        return show(
            visit, "audit", "audit.html", page=page, asked=found, actions=actions, user_kind=USER,
            action_text=action_text, fact_text=fact_text, subject_text=subject_text,
        )  # fmt: skip

    site.view(f"{HOME}/requests", requests, Permission.READ_USE)
    site.view(f"{HOME}/ledger", ledger, Permission.READ_MONEY)
    site.view(f"{HOME}/audit", audit, Permission.READ_AUDIT)
