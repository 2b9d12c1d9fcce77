"""`models check` as a function: what is told of each model, and when it is said to work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.library import ModelLibrary
from chatbill.adapters.inference.model_spec import HubSource, ModelSpec, ServerSource
from chatbill.adapters.inference.transformers.measuring import Checked, ModelCheck
from tests.adapters.inference.fake_runtime import FakeRuntime, fake_specs

BILLION = 1_000_000_000


async def checked(
    tmp_path: Path, runtime: FakeRuntime, *specs: ModelSpec, run: bool = True
) -> tuple[bool, list[Checked]]:
    told: list[Checked] = []
    check = ModelCheck(
        specs=specs, library=ModelLibrary(tmp_path), slots=4, runtime=lambda: runtime, bandwidth=lambda _: 20e9
    )
    return await check(run=run, tell=told.append), told


async def test_a_model_that_is_here_and_fits_is_run_alone_and_let_go(tmp_path: Path) -> None:
    runtime = FakeRuntime(gpu_bytes=4 * BILLION)
    works, (mini, pro) = await checked(tmp_path, runtime, *fake_specs(tmp_path / "model", parameters=BILLION))

    assert works
    for found in (mini, pro):
        assert found.speed
        assert (found.speed.how, found.fit.slots, found.trouble) == ("measured", 4, "")
        assert found.speed.tokens_per_s > 0
    assert runtime.models == {}
    assert runtime.gpu_bytes == 4 * BILLION


async def test_one_that_is_not_fetched_gets_an_estimate_that_is_called_one(tmp_path: Path) -> None:
    spec = replace(
        fake_specs(tmp_path / "model", parameters=BILLION)[0],
        source=HubSource(repository="maker/model", gated=True, download_bytes=5),
    )
    works, (found,) = await checked(tmp_path, FakeRuntime(gpu_bytes=4 * BILLION), spec)

    assert works
    assert found.speed
    assert (found.speed.how, found.speed.tokens_per_s) == ("estimate", 10.0)
    assert found.needs_token
    assert json.loads(json.dumps(found.figures()))["speed"]["how"] == "estimate"


async def test_nothing_is_loaded_where_it_does_not_fit_or_is_not_wanted(tmp_path: Path) -> None:
    specs = fake_specs(tmp_path / "model", parameters=BILLION)
    small, roomy = FakeRuntime(gpu_bytes=BILLION), FakeRuntime(gpu_bytes=4 * BILLION)

    works, told = await checked(tmp_path, small, *specs)
    assert not works
    assert [found.speed for found in told] == [None, None]
    works, told = await checked(tmp_path, roomy, *specs, run=False)
    assert works
    assert [found.speed for found in told] == [None, None]
    assert small.loaded == roomy.loaded == []


async def test_a_model_that_fits_and_cannot_be_run_is_trouble(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={"demo-pro": ValueError("/a/private/path")})
    works, (mini, pro) = await checked(tmp_path, runtime, *fake_specs(tmp_path / "model"))

    assert not works
    assert mini.trouble == ""
    assert pro.trouble == "demo-pro is not available: it could not be loaded (ValueError); the log has the cause"


async def test_models_on_servers_need_nothing_of_this_machine(tmp_path: Path) -> None:
    spec = replace(fake_specs(tmp_path / "model")[0], source=ServerSource(url="http://127.0.0.1:9/v1"))

    def no_runtime() -> FakeRuntime:
        pytest.fail("torch would have been imported")

    told: list[Checked] = []
    check = ModelCheck(specs=(spec,), library=ModelLibrary(tmp_path), slots=1, runtime=no_runtime)
    assert await check(run=True, tell=told.append)
    assert (told[0].speed, told[0].figures()["elsewhere"]) == (None, True)
