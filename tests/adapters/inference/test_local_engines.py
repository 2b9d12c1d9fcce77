"""Which engine runs a model of this machine, and what operators are told if it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import GgufSource, ServerSource
from chatbill.adapters.inference.local_engines import LocalEngine, LocalEngines

BOTH = load_catalogue("demo")[0]
WITHOUT_GGUF = load_catalogue("gemma")[0]
ONLY_GGUF = replace(BOTH, source=GgufSource(file=Path("model.gguf")))
ON_SERVER = replace(BOTH, source=ServerSource(url="http://127.0.0.1:9/v1"))
ALL: tuple[LocalEngine, ...] = ("transformers", "llama_cpp")


def engines(
    setting: Literal["auto", "llama_cpp", "transformers"] = "auto",
    *,
    gpu: bool = False,
    installed: tuple[LocalEngine, ...] = ALL,
) -> LocalEngines:
    return LocalEngines(setting=setting, is_installed=lambda engine: engine in installed, has_gpu=lambda: gpu)


@pytest.mark.parametrize(
    ("gpu", "installed", "expected"),
    [
        (False, ALL, "llama_cpp"),
        (True, ALL, "transformers"),
        (True, ("llama_cpp",), "llama_cpp"),
        (False, ("transformers",), "transformers"),
        (False, (), "llama_cpp"),
    ],
)
def test_auto_takes_transformers_on_a_gpu_and_llama_cpp_on_a_cpu_if_they_are_installed(
    gpu: bool, installed: tuple[LocalEngine, ...], expected: str
) -> None:
    chosen = engines(gpu=gpu, installed=installed)

    assert chosen.engine_of(BOTH) == expected
    assert chosen.is_gguf(BOTH) == (expected == "llama_cpp")


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_gives_a_model_with_one_form_to_the_engine_that_runs_it(gpu: bool) -> None:
    assert engines(gpu=gpu).engine_of(WITHOUT_GGUF) == "transformers"
    assert engines(gpu=gpu).engine_of(ONLY_GGUF) == "llama_cpp"
    assert engines(gpu=gpu).engine_of(ON_SERVER) is None


def test_auto_looks_for_a_gpu_only_for_a_model_that_both_engines_run() -> None:
    chosen = LocalEngines(is_installed=lambda _: True, has_gpu=lambda: pytest.fail("torch may have been imported"))

    assert [chosen.engine_of(spec) for spec in (WITHOUT_GGUF, ONLY_GGUF, ON_SERVER)] == [
        "transformers",
        "llama_cpp",
        None,
    ]


@pytest.mark.parametrize("setting", ["llama_cpp", "transformers"])
def test_the_setting_is_obeyed(setting: Literal["llama_cpp", "transformers"]) -> None:
    chosen = engines(setting, gpu=setting == "llama_cpp")

    assert chosen.engine_of(BOTH) == setting
    assert chosen.fault_of(BOTH) == ""


@pytest.mark.parametrize(
    ("setting", "spec", "installed", "told"),
    [
        ("auto", WITHOUT_GGUF, ("llama_cpp",), "pip install 'chatbill[models]'"),
        ("auto", ONLY_GGUF, ("transformers",), "pip install 'chatbill[server]'"),
        ("transformers", BOTH, ("llama_cpp",), "pip install 'chatbill[models]'"),
        ("llama_cpp", BOTH, ("transformers",), "pip install 'chatbill[server]'"),
        ("llama_cpp", WITHOUT_GGUF, ALL, "has no GGUF file"),
        ("transformers", ONLY_GGUF, ALL, "set CHATBILL_LOCAL_ENGINE to auto"),
    ],
)
def test_a_model_that_cannot_be_run_says_what_to_do(
    setting: Literal["auto", "llama_cpp", "transformers"], spec: object, installed: tuple[LocalEngine, ...], told: str
) -> None:
    assert told in engines(setting, installed=installed).fault_of(spec)  # type: ignore[arg-type]


def test_a_model_on_a_server_needs_no_package() -> None:
    assert engines(installed=()).fault_of(ON_SERVER) == ""
