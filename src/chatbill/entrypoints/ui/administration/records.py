"""Lists of what happened: requests, entries of the ledger, the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from starlette.responses import Response

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.shared.paging import Page
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import USER
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
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

    async def names_of(visit: Visit, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of people, for those who may see people."""
        if Permission.READ_PEOPLE not in visit.permissions:
            return {}
        return await use_cases.administration.name_users(visit.principal, ids)

    async def person_asked(visit: Visit, found: dict[str, str], name: str) -> UserId | None:
        """Return the id of the person whose name, address or id was asked for; an unknown one as it is."""
        text = checked_text(name, found.get(name))
        if text is None or Permission.READ_PEOPLE not in visit.permissions:
            return UserId(text) if text else None
        return await use_cases.administration.name_users.find(visit.principal, text) or UserId(text)

    async def requests(visit: Visit) -> Response:
        found = asked(visit, "user", "model", "outcome", "from", "to", "q")
        model = id_asked(found, "model")
        filters = InteractionFilter(
            user_id=await person_asked(visit, found, "user"),
            model=ModelId(model) if model else None,
            outcome=checked_choice("outcome", found.get("outcome"), Outcome),
            period=period_of(found, own_zone(visit)),
            text=checked_text("q", found.get("q")),
        )
        listed = await use_cases.reports.list_interactions(visit.principal, filters, cursor=found.get("cursor"))
        models = [(offer.model.id, offer.model.name) for offer in use_cases.chat.list_models()]
        names = await names_of(visit, (each.user_id for each in listed.page.items))
        return show(
            visit, "requests", "requests.html", page=listed.page, names=names, has_texts=listed.has_texts, asked=found,
            outcomes=OUTCOMES, models=models,
        )  # fmt: skip

    async def ledger(visit: Visit) -> Response:
        found = asked(visit, "user", "wallet", "kind", "model", "from", "to")
        wallet, model = (id_asked(found, name) for name in ("wallet", "model"))
        filters = LedgerFilter(
            wallet_id=WalletId(wallet) if wallet else None,
            kind=checked_choice("kind", found.get("kind"), EntryKind),
            model=ModelId(model) if model else None,
            period=period_of(found, own_zone(visit)),
        )
        user = await person_asked(visit, found, "user")
        try:
            page = await use_cases.reports.list_ledger(
                visit.principal, filters, user_id=user, cursor=found.get("cursor")
            )
        except NotFound:
            page = Page([], None)
        names = await names_of(visit, (each.owner.id for each in page.items if each.owner))
        return show(visit, "ledger", "ledger.html", page=page, asked=found, kinds=KINDS, user_kind=USER, names=names)

    async def audit(visit: Visit) -> Response:
        found = asked(visit, "actor", "action", "subject", "from", "to")
        filters = AuditFilter(
            actor=await person_asked(visit, found, "actor"),
            action=checked_choice("action", found.get("action"), AuditAction),
            subject=checked_text("subject", found.get("subject")),
            period=period_of(found, own_zone(visit)),
        )
        page = await use_cases.administration.list_audit_trail(visit.principal, filters, cursor=found.get("cursor"))
        subjects = (each.record.subject_id for each in page.items if each.record.subject_kind == USER)
        names = await names_of(visit, filter(None, subjects))
        actions = sorted(((each.value, action_text(each)) for each in AuditAction), key=itemgetter(1))
        return show(
            visit, "audit", "audit.html", page=page, names=names, asked=found, actions=actions, user_kind=USER,
            action_text=action_text, fact_text=fact_text, subject_text=subject_text,
        )  # fmt: skip

    site.view(f"{HOME}/requests", requests, Permission.READ_USE)
    site.view(f"{HOME}/ledger", ledger, Permission.READ_MONEY)
    site.view(f"{HOME}/audit", audit, Permission.READ_AUDIT)
