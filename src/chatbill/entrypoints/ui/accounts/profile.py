"""The profile: name, e-mail address, language, time zone, and limits of one's own."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.application.accounts.update_account import AccountChange
from chatbill.entrypoints.ui.shared.forms import plain_credits, text_fields, unless_left
from chatbill.entrypoints.ui.shared.speech import names_of_languages
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import gettext as _

LIMITS = ("spending_limit.day", "spending_limit.month", "low_balance")


def profile_routes(site: Site) -> None:
    """Add the view and its actions."""
    accounts = site.use_cases.accounts

    async def show(visit: Visit) -> Response:
        sends = accounts.send_verification.queue_letter.sends
        return visit.html("account/profile.html", languages=names_of_languages(), sends_letters=sends)

    async def names(visit: Visit) -> Response:
        username, email, password = await text_fields(visit.request, "username", "email", optional=("password",))
        change = AccountChange(username=username, email=email, password=password)
        await unless_left(visit.request, accounts.update_account(visit.principal, change))
        return done(say=_("Your name and your address are saved."), refresh=True)

    async def preferences(visit: Visit) -> Response:
        locale, time_zone = await text_fields(visit.request, "locale", "time_zone")
        change = AccountChange(locale=locale or None, time_zone=time_zone.strip())
        await accounts.update_account(visit.principal, change)
        return done(reload=True)

    async def limits(visit: Visit) -> Response:
        typed = await text_fields(visit.request, *LIMITS)
        day, month, low = (plain_credits(name, text) for name, text in zip(LIMITS, typed, strict=True))
        change = AccountChange(limit_day=day, limit_month=month, low_balance=low)
        await accounts.update_account(visit.principal, change)
        return done(say=_("Your limits are saved."), refresh=True)

    async def letter(visit: Visit) -> Response:
        await accounts.send_verification(visit.principal)
        said = _("A letter is on its way to {address}.").format(address=visit.account.email)
        return done(say=said, put={"cb-letter-sent": visit.text("account/said.html", said=said)})

    site.view("account", show)
    site.post("/web/account", names)
    site.post("/web/account/preferences", preferences)
    site.post("/web/account/limits", limits)
    site.post("/web/account/letter", letter)
