"""Sets up and removes a second factor. Its secret and the recovery codes are in one answer each, and kept nowhere."""

from __future__ import annotations

import segno
from markupsafe import Markup
from starlette.responses import Response

from chatbill.application.accounts.remove_second_factor import Removal
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.ui.shared.forms import text_fields, unless_left
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import gettext as _

PLACE = "cb-factor"
GROUP = 4


def second_factor_routes(site: Site) -> None:
    """Add the actions."""
    accounts = site.use_cases.accounts

    async def start(visit: Visit) -> Response:
        (password,) = await text_fields(visit.request, optional=("password",))
        new = await unless_left(visit.request, accounts.set_second_factor(visit.principal, password))
        put = visit.text("account/factor_new.html", secret=_grouped(new.secret), picture=_picture(new.address))
        return done(put={PLACE: put})

    async def confirm(visit: Visit) -> Response:
        (code,) = await text_fields(visit.request, "code")
        codes = await accounts.confirm_second_factor(visit.principal, code)
        return done(
            say=_("The second factor is set."), put={PLACE: visit.text("account/factor_codes.html", codes=codes)}
        )

    async def remove(visit: Visit) -> Response:
        password, code = await text_fields(visit.request, "password", "code")
        # Without a code the use case answers as a sign-in would, which the script of the page takes for an ended one.
        if not code.strip():
            raise InvalidRequest.of("code", "required")
        removal = Removal(password=password, code=code)
        await unless_left(visit.request, accounts.remove_second_factor(visit.principal, removal))
        return done(say=_("The second factor is removed."), refresh=True)

    site.post("/web/second-factor", start)
    site.post("/web/second-factor/confirm", confirm)
    site.post("/web/second-factor/remove", remove)


def _grouped(secret: str) -> str:
    """Return the secret in groups, as it is typed more easily. Apps ignore the spaces."""
    return " ".join(secret[at : at + GROUP] for at in range(0, len(secret), GROUP))


def _picture(address: str) -> Markup:
    """Return the QR code of an address. The library writes lines and numbers, and no text of the address."""
    code = segno.make(address, micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass=None, lineclass=None))  # noqa: S704
