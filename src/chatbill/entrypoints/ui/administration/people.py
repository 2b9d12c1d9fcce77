"""Adds the views of people: the list, one person, and a new account."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from chatbill.application.administration.create_user import NewUser
from chatbill.application.ports.repositories.users import UserFilter
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.domain.accounts.permissions import Permission, outranks
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, id_of, show
from chatbill.entrypoints.ui.shared.forms import text_fields, unless_left
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.parameters import checked_choice, checked_text
from chatbill.entrypoints.web.password_links import link_address

FILTERS: Final = ("q", "role", "state")
ROLES: Final = {
    "user": N_("User"),
    "viewer": N_("Viewer"),
    "support": N_("Support"),
    "finance": N_("Finance"),
    "admin": N_("Administrator"),
}
STATES: Final = {"active": N_("active"), "suspended": N_("suspended"), "erased": N_("erased")}


def people_views(site: Site) -> None:
    """Add the views of people to the site."""
    administration = site.use_cases.administration

    async def people(visit: Visit) -> Response:
        found = asked(visit, *FILTERS)
        filters = UserFilter(
            text=checked_text("q", found.get("q")),
            role=checked_choice("role", found.get("role"), UserRole),
            state=checked_choice("state", found.get("state"), AccountState),
        )
        page = await administration.list_users(visit.principal, filters, limit=DEFAULT_PAGE, cursor=found.get("cursor"))
        return show(visit, "people", "people.html", page=page, asked=found, roles=ROLES, states=STATES)

    async def person(visit: Visit) -> Response:
        record = await administration.show_user(visit.principal, UserId(id_of(visit, "user_id", "user")))
        is_other = record.user.id != visit.principal.user_id
        acts = is_other and outranks(visit.principal.role, record.user.role)
        return show(visit, "people", "person.html", record=record, acts=acts, roles=ROLES, states=STATES)

    async def create(visit: Visit) -> Response:
        username, email, role = await text_fields(visit.request, "username", "email", "role")
        order = NewUser(username=username, email=email, role=checked_choice("role", role, UserRole) or UserRole.USER)
        made = await unless_left(visit.request, administration.create_user(visit.principal, order))
        if made.link is None:
            return done(refresh=True)
        link = link_address(base_of(visit), made.link.token)
        return once(visit, "link.html", link=link, expires_at=made.link.expires_at, user=made.user)

    site.view(f"{HOME}/people", people, Permission.READ_PEOPLE)
    site.view(f"{HOME}/people/{{user_id}}", person, Permission.READ_PEOPLE)
    site.post(f"{ACTIONS}/people", create, Permission.MANAGE_PEOPLE)


def base_of(visit: Visit) -> str:
    """Return the address of the service as the person sees it."""
    url = visit.request.url
    return f"{url.scheme}://{url.netloc}{visit.request.scope.get('root_path', '')}"


def once(visit: Visit, template: str, **values: object) -> Response:
    """Return an answer that is shown only once, in the element `cb-once` of the view."""
    return done(put={"cb-once": visit.text(f"administration/{template}", **values)})
