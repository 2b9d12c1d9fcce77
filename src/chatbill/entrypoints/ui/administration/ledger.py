"""The ledger: its entries in pages, the sum of what is shown, and files with all that is selected."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.shared.paging import Page
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ModelId, UserId, WalletId
from chatbill.entrypoints.ui.administration.names import names_of, person_asked
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, form_asked, id_asked, own_zone, show
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.lists import period_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shared.words import description_text, kinds, names_of_models
from chatbill.entrypoints.web.list_exports import entry_pages, export_list
from chatbill.entrypoints.web.list_rows import ENTRY_COLUMNS
from chatbill.entrypoints.web.parameters import checked_choice

FILTERS: Final = ("user", "wallet", "kind", "model", "from", "to")


def ledger_views(site: Site) -> None:
    """Add the view and its files."""
    use_cases = site.use_cases

    async def ledger(visit: Visit) -> Response:
        found, filters, user = await _wanted(use_cases, visit)
        try:
            page = await use_cases.reports.list_ledger(
                visit.principal, filters, user_id=user, cursor=found.get("cursor")
            )
        except NotFound:
            page = Page([], None)
        models = names_of_models(use_cases)
        return show(
            visit,
            "ledger",
            "ledger.html",
            page=page,
            amounts=[each.entry.signed_amount for each in page.items],
            texts=[description_text(each.entry.cause.description, models) for each in page.items],
            asked=found,
            kinds=kinds(),
            user_kind=USER,
            names=await names_of(use_cases, visit, (each.owner.id for each in page.items if each.owner)),
        )

    async def file(visit: Visit) -> Response:
        found, filters, user = await _wanted(use_cases, visit)
        pages = entry_pages(use_cases, visit.principal, filters, user)
        facts = {name: user if name == "user" else found.get(name) for name in FILTERS}
        return FileAnswer(
            await export_list(use_cases, visit.principal, "ledger", form_asked(visit), ENTRY_COLUMNS, pages, facts)
        )

    site.view(f"{HOME}/ledger", ledger, Permission.READ_MONEY)
    site.get(f"{ACTIONS}/ledger/file", file, Permission.READ_MONEY)


async def _wanted(use_cases: UseCases, visit: Visit) -> tuple[dict[str, str], LedgerFilter, UserId | None]:
    """Return what was asked, the filter for it, and the person whose entries are wanted."""
    found = asked(visit, *FILTERS)
    wallet, model = (id_asked(found, name) for name in ("wallet", "model"))
    filters = LedgerFilter(
        wallet_id=WalletId(wallet) if wallet else None,
        kind=checked_choice("kind", found.get("kind"), EntryKind),
        model=ModelId(model) if model else None,
        period=period_of(found, own_zone(visit)),
    )
    return found, filters, await person_asked(use_cases, visit, found, "user")
