"""Response bodies of the health checks and of the root."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.types import Scope

from chatbill.application.chat.check_readiness import Readiness
from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.addresses import UNKNOWN
from chatbill.entrypoints.web.proxies import IGNORED
from chatbill.entrypoints.web.texts import render

STOPPING = Description("service_stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """The process runs."""

    status: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessView:
    """The state of each part, and the parts that are missing.

    `status` is `ready`, `degraded` if the service is ready and a model that should work does not, `stopping`, or
    `unready`. `missing` has `service` if it is stopping, `database`, `model` if none is available, and each model that
    should work and does not. `why` says what is wrong with each of them.
    """

    ready: bool
    status: str
    database: bool
    models: dict[str, bool]
    missing: list[str]
    why: dict[str, str]

    @classmethod
    def of(cls, readiness: Readiness) -> ReadinessView:
        """Return the view of the readiness."""
        why = {"service": render(STOPPING)} if readiness.stopping else {}
        if readiness.problem is not None:
            why["database"] = render(readiness.problem)
        if not any(readiness.models.values()):
            why["model"] = "; ".join(f"{model}: {render(reason)}" for model, reason in readiness.unavailable.items())
        why |= {model: render(reason) for model, reason in readiness.unhealthy.items()}
        status = "degraded" if readiness.degraded else "ready" if readiness.ready else "unready"
        return cls(
            ready=readiness.ready,
            status="stopping" if readiness.stopping else status,
            database=readiness.store,
            models=readiness.models,
            missing=list(why),
            why=why,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenView:
    """What the service sees of a request, as its proxies have said it."""

    scheme: str
    host: str
    client: str
    ignored: list[str]

    @classmethod
    def of(cls, scope: Scope) -> SeenView:
        """Return the view of the request."""
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        client, ignored = scope.get("client"), scope.get(IGNORED)
        names = list(ignored) if isinstance(ignored, tuple) else []
        return cls(scheme=scope["scheme"], host=host, client=client[0] if client else UNKNOWN, ignored=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootView:
    """The name and the version of the service, and the addresses of its documentation and health."""

    name: str
    version: str
    documentation: str
    health: str
