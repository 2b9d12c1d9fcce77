"""Codes that redeem credits: made, shown once, withdrawn."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import moments_of
from chatbill.domain.shared.ids import CodeId
from chatbill.entrypoints.ui.administration.people import once
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, id_of, own_zone, show
from chatbill.entrypoints.ui.shared.forms import text_fields, whole_number
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import gettext as _


def code_views(site: Site) -> None:
    """Add the view and its actions."""
    administration = site.use_cases.administration

    async def codes(visit: Visit) -> Response:
        found = asked(visit)
        page = await administration.list_codes(visit.principal, cursor=found.get("cursor"))
        return show(visit, "codes", "codes.html", page=page, asked=found, now=datetime.now(UTC))

    async def make(visit: Visit) -> Response:
        amount, uses, last_day = await text_fields(visit.request, "credits", "uses", "last_day")
        # The code is good to the end of that day, in the time zone of the person.
        _start, end = moments_of(None, last_day or None, own_zone(visit))
        order = NewCode(credits=whole_number("credits", amount), uses=whole_number("uses", uses), expires_at=end)
        issued = await administration.create_code(visit.principal, order)
        return once(visit, "code.html", issued=issued)

    async def withdraw(visit: Visit) -> Response:
        (reason,) = await text_fields(visit.request, "reason")
        code_id = CodeId(id_of(visit, "code_id", "code"))
        await administration.withdraw_code(visit.principal, code_id, AdminAction(reason=reason))
        return done(say=_("The code was withdrawn."), refresh=True)

    site.view(f"{HOME}/codes", codes, Permission.READ_MONEY)
    site.post(f"{ACTIONS}/codes", make, Permission.ADJUST_CREDITS)
    site.post(f"{ACTIONS}/codes/{{code_id}}/withdraw", withdraw, Permission.ADJUST_CREDITS)
