"""The models: health, memory, speed, and advice with its evidence."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, show
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import current
from chatbill.entrypoints.web.language import gettext as _

HOUR_MINUTES = 60
MEGABYTE = 1_000_000


def model_views(site: Site) -> None:
    """Add the view and its action."""
    monitoring = site.use_cases.monitoring

    async def models(visit: Visit) -> Response:
        live = await monitoring.read_live(visit.principal, minutes=HOUR_MINUTES)
        advice = [Description(each.code, dict(each.evidence)) for each in await monitoring.analyse(visit.principal)]
        return show(
            visit,
            "models",
            "models.html",
            offers=site.use_cases.chat.list_models(),
            recent=live.recent.models,
            machine=live.figures.machine,
            parts_of_service=await monitoring.read_health(visit.principal),
            advice=advice,
        )

    async def free_memory(visit: Visit) -> Response:
        freed = await monitoring.free_memory(visit.principal)
        megabytes = current().number(max(0, freed.before_bytes - freed.after_bytes) // MEGABYTE)
        return done(say=_("{megabytes} MB of memory were freed.").format(megabytes=megabytes), refresh=True)

    site.view(f"{HOME}/models", models, Permission.READ_USE)
    site.post(f"{ACTIONS}/memory", free_memory, Permission.OPERATE)
