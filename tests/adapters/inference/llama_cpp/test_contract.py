"""The engine of llama.cpp keeps the contract of all engines, with a real model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chatbill.adapters.inference.llama_cpp import LlamaCppEngine
from chatbill.testing.engine_contract import EngineContract
from tests.adapters.inference.llama_cpp.scene import scene

pytestmark = [pytest.mark.model, pytest.mark.slow]


class TestLlamaCpp(EngineContract):
    @pytest.fixture
    async def engine(self) -> AsyncIterator[LlamaCppEngine]:
        async with scene() as made:
            yield made.engine
