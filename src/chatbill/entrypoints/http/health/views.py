"""Response bodies of the health checks and of the root."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.maintenance.check_readiness import Readiness


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
            why["model"] = "; ".join(f"{model}: {reason}" for model, reason in readiness.unavailable.items())
        why |= readiness.unhealthy
        return cls(ready=readiness.ready, database=readiness.store, models=readiness.models, missing=list(why), why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootView:
    """Who answers, and where the rest is."""

    name: str
    version: str
    documentation: str
    health: str
