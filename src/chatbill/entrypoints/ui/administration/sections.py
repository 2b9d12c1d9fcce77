"""The sections of the administration, and what their views share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.errors import InvalidRequest, NotFound
from chatbill.entrypoints.ui.shared.lists import asked_of
from chatbill.entrypoints.ui.shared.visits import Visit
from chatbill.entrypoints.web.exports import ExportFormat
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.parameters import checked_choice, could_be_id

HOME: Final = "administration"
ACTIONS: Final = "/web/administration"


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its address, its name, and the permission that shows it."""

    path: str
    name: str
    permission: Permission


SECTIONS: Final = (
    Section(HOME, N_("Overview"), Permission.READ_USE),
    Section(f"{HOME}/use", N_("Use"), Permission.READ_USE),
    Section(f"{HOME}/money", N_("Money"), Permission.READ_MONEY),
    Section(f"{HOME}/people", N_("People"), Permission.READ_PEOPLE),
    Section(f"{HOME}/requests", N_("Requests"), Permission.READ_USE),
    Section(f"{HOME}/ledger", N_("Ledger"), Permission.READ_MONEY),
    Section(f"{HOME}/codes", N_("Codes"), Permission.READ_MONEY),
    Section(f"{HOME}/models", N_("Models"), Permission.READ_USE),
    Section(f"{HOME}/alerts", N_("Alerts"), Permission.READ_USE),
    Section(f"{HOME}/audit", N_("Audit trail"), Permission.READ_AUDIT),
)


def show(visit: Visit, section: str, template: str, **values: Any) -> Response:
    """Return the fragment of a view, with the sections that this person may open."""
    path = f"{HOME}/{section}".rstrip("/")
    sections = [each for each in SECTIONS if each.permission in visit.permissions]
    return visit.html(f"administration/{template}", sections=sections, here=path, **values)


def asked(visit: Visit, *names: str) -> dict[str, str]:
    """Return these parameters of the address, with the place in a list."""
    return asked_of(visit, *names, "cursor")


def own_zone(visit: Visit) -> str:
    """Return the time zone of the person."""
    return visit.account.limits.time_zone


def form_asked(visit: Visit) -> ExportFormat:
    """Return the format of a file: CSV where none is named. Raises `InvalidRequest`."""
    return checked_choice("format", visit.asked("format") or None, ExportFormat) or ExportFormat.CSV


def id_of(visit: Visit, name: str, noun: str) -> str:
    """Return an id of the address. Raises `NotFound` for text that cannot be one."""
    found = visit.path(name)
    if not could_be_id(found):
        raise NotFound(noun)
    return found


def id_asked(found: dict[str, str], name: str) -> str | None:
    """Return an id among the parameters; None without one. Raises `InvalidRequest`."""
    value = found.get(name)
    if value is not None and not could_be_id(value):
        raise InvalidRequest.of(name, "length_out_of_range", min=1, max=64)
    return value
