"""Health: is the process there, and would a message be taken? Open to all, for probes and balancers."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Controller, Response, get

from chatbill.application.assembly import UseCases
from chatbill.application.maintenance.check_readiness import Readiness
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, returned
from chatbill.entrypoints.http.injection import Injected
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """The process answers."""

    status: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessView:
    """What works, and what is missing before the service is ready.

    `missing` has `database`, `model` where none can be asked, and each model that should write and does not. `why` says
    of each of them what is wrong, and what to do where that is known.
    """

    ready: bool
    database: bool
    models: dict[str, bool]
    missing: list[str]
    why: dict[str, str]

    @classmethod
    def of(cls, readiness: Readiness) -> ReadinessView:
        """As probes see it."""
        why = {} if readiness.trouble is None else {"database": readiness.trouble}
        if not any(readiness.models.values()):
            why["model"] = "; ".join(f"{model}: {render(reason)}" for model, reason in readiness.unavailable.items())
        why |= {model: render(reason) for model, reason in readiness.unhealthy.items()}
        return cls(ready=readiness.ready, database=readiness.store, models=readiness.models, missing=list(why), why=why)


class HealthController(Controller):
    """What a probe asks."""

    path = "/health"
    tags = ("Health",)

    @get(
        operation_id="readHealth",
        summary="Is the process there",
        responses=documented(200, HealthView, "It is.", examples.HEALTH),
    )
    async def read_health(self) -> HealthView:
        """Answers as long as the process does."""
        return HealthView()

    @get(
        "/ready",
        operation_id="readReadiness",
        summary="Would a message be taken",
        responses=documented(
            200, ReadinessView, "The database keeps what is written, and each model on offer answers.", examples.READY
        )
        | {503: returned(ReadinessView, "Something is missing.", examples.NOT_READY)},
    )
    async def read_readiness(self, use_cases: Injected[UseCases]) -> Response[ReadinessView]:
        """Ready means that the database took a small write, and each model on offer wrote a token, not long ago.

        A model that is not offered, because it does not fit in memory, is not missed while another can be asked. One
        that rests is loaded by the next message, and counts as one that can be asked.
        """
        readiness = ReadinessView.of(await use_cases.check_readiness())
        return Response(readiness, status_code=200 if readiness.ready else 503)
