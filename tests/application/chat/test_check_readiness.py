"""Readiness: what must work before the service is ready, and what may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from chatbill.application.chat.check_readiness import Readiness
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId
from chatbill.testing import InstantEngine
from tests.kit.support import CATALOGUE, MINI, PRO, world

READY = ModelStatus(state=ModelState.READY)
DEAD = ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_silent"), healthy=False)
SILENT = replace(READY, healthy=False)
TOO_LARGE = ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_unknown"))


class SickEngine(InstantEngine):
    """Has models in the states that a test gives them."""

    def __init__(self, mini: ModelStatus, pro: ModelStatus) -> None:
        super().__init__(CATALOGUE)
        self._states = {MINI: mini, PRO: pro}

    def status(self) -> Mapping[ModelId, ModelStatus]:
        return self._states


async def readiness(mini: ModelStatus, pro: ModelStatus) -> Readiness:
    """Return the readiness of a service with these models."""
    return await world(engine=SickEngine(mini, pro)).use_cases.chat.check_readiness()


async def test_a_service_is_ready_while_every_model_works() -> None:
    found = await readiness(READY, READY)
    assert (found.ready, found.degraded) == (True, False)


@pytest.mark.parametrize("sick", [DEAD, SILENT])
async def test_one_dead_model_of_two_degrades_a_service_that_is_ready(sick: ModelStatus) -> None:
    found = await readiness(READY, sick)
    assert (found.ready, found.degraded, list(found.unhealthy)) == (True, True, [PRO])


async def test_a_model_that_never_fitted_degrades_nothing() -> None:
    found = await readiness(READY, TOO_LARGE)
    assert (found.ready, found.degraded) == (True, False)


@pytest.mark.parametrize("other", [DEAD, SILENT, TOO_LARGE])
async def test_a_service_whose_models_are_all_dead_is_not_ready(other: ModelStatus) -> None:
    found = await readiness(SILENT, other)
    assert (found.ready, found.degraded) == (False, False)


async def test_a_service_that_will_close_is_not_ready() -> None:
    everything = world()
    everything.use_cases.chat.replies.will_close = True
    found = await everything.use_cases.chat.check_readiness()
    assert (found.ready, found.stopping, found.store) == (False, True, True)
