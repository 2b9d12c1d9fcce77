"""Lists of what happened: requests and the audit trail."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from starlette.responses import Response

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.subjects import USER
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.audit_trail import AuditAction, Facts
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.ui.administration.names import names_of, person_asked
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, form_asked, id_asked, own_zone, show
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.lists import period_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shared.words import names_of_models, outcomes
from chatbill.entrypoints.web.list_exports import export_list, request_pages
from chatbill.entrypoints.web.list_rows import INTERACTION_COLUMNS
from chatbill.entrypoints.web.parameters import checked_choice, checked_text
from chatbill.entrypoints.web.texts.audit import action_text, fact_text, subject_text

REQUEST_FILTERS: Final = ("user", "model", "outcome", "from", "to", "q")


def record_views(site: Site) -> None:
    """Add the views."""
    _add_requests(site)
    _add_audit(site)


def _add_requests(site: Site) -> None:
    use_cases = site.use_cases

    async def requests(visit: Visit) -> Response:
        found, filters = await _requests_wanted(use_cases, visit)
        listed = await use_cases.reports.list_interactions(visit.principal, filters, cursor=found.get("cursor"))
        names = await names_of(use_cases, visit, (each.user_id for each in listed.page.items))
        return show(
            visit, "requests", "requests.html", page=listed.page, names=names, has_texts=listed.has_texts, asked=found,
            outcomes=outcomes(), models=names_of_models(use_cases),
        )  # fmt: skip

    async def requests_file(visit: Visit) -> Response:
        found, filters = await _requests_wanted(use_cases, visit)
        pages = request_pages(use_cases, visit.principal, filters)
        facts: Facts = {name: found.get(name) for name in REQUEST_FILTERS if name != "q"}
        facts = {**facts, "user": filters.user_id, "searched": filters.text is not None}
        return FileAnswer(
            await export_list(
                use_cases, visit.principal, "interactions", form_asked(visit), INTERACTION_COLUMNS, pages, facts
            )
        )

    site.view(f"{HOME}/requests", requests, Permission.READ_USE)
    site.get(f"{ACTIONS}/requests/file", requests_file, Permission.READ_USE)


async def _requests_wanted(use_cases: UseCases, visit: Visit) -> tuple[dict[str, str], InteractionFilter]:
    """Return what was asked, and the filter for it."""
    found = asked(visit, *REQUEST_FILTERS)
    model = id_asked(found, "model")
    return found, InteractionFilter(
        user_id=await person_asked(use_cases, visit, found, "user"),
        model=ModelId(model) if model else None,
        outcome=checked_choice("outcome", found.get("outcome"), Outcome),
        period=period_of(found, own_zone(visit)),
        text=checked_text("q", found.get("q")),
    )


def _add_audit(site: Site) -> None:
    use_cases = site.use_cases

    async def audit(visit: Visit) -> Response:
        found = asked(visit, "actor", "action", "subject", "from", "to")
        filters = AuditFilter(
            actor=await person_asked(use_cases, visit, found, "actor"),
            action=checked_choice("action", found.get("action"), AuditAction),
            subject=checked_text("subject", found.get("subject")),
            period=period_of(found, own_zone(visit)),
        )
        page = await use_cases.administration.list_audit_trail(visit.principal, filters, cursor=found.get("cursor"))
        subjects = (each.record.subject_id for each in page.items if each.record.subject_kind == USER)
        names = await names_of(use_cases, visit, filter(None, subjects))
        actions = sorted(((each.value, action_text(each)) for each in AuditAction), key=itemgetter(1))
        return show(
            visit, "audit", "audit.html", page=page, names=names, asked=found, actions=actions, user_kind=USER,
            action_text=action_text, fact_text=fact_text, subject_text=subject_text,
        )  # fmt: skip

    site.view(f"{HOME}/audit", audit, Permission.READ_AUDIT)
