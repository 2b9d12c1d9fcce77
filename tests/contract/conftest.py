"""Each engine in turn, for the tests of the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chatbill.adapters.inference.catalogue.files import domain_catalogue, load_catalogue
from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import Engine
from tests.adapters.inference.openai.fake_servers import on_server, working_server
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime, fake_specs
from tests.contract.engines import (
    ENGINES,
    PLACES,
    EngineWithoutWaits,
    FilledCache,
    cached,
)
from tests.kit.models import demo_engine


@pytest.fixture(scope="module")
def real_engine() -> Iterator[Engine]:
    with demo_engine(slots=2, max_queued=PLACES - 2) as engine:
        yield engine


@pytest.fixture
async def server_engine() -> AsyncIterator[Engine]:
    async with working_server() as server:
        engine = OpenAIEngine(on_server(server.url, concurrency=1), max_queued=PLACES - 1)
        await engine.start()
        yield engine
        await engine.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine: Engine
    match request.param:
        case "transformers":
            yield request.getfixturevalue("real_engine")
            return
        case "server":
            yield request.getfixturevalue("server_engine")
            return
        case "threads":
            specs = fake_specs(tmp_path / "model")
            engine = TransformersEngine(
                specs, ModelLibrary(tmp_path), runtime=FakeRuntime, slots=2, max_queued=PLACES - 2
            )
        case "cache":
            engine = cached(ScriptedEngine(domain_catalogue(load_catalogue("demo")), slots=2, max_queued=PLACES - 2))
        case "filled_cache":
            engine = cached(EngineWithoutWaits(domain_catalogue(load_catalogue("demo"))), FilledCache)
        case _:
            engine = ScriptedEngine(domain_catalogue(load_catalogue("demo")), slots=2, max_queued=PLACES - 2)
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())
