"""Catalogue files: the built-in ones, and what their writers are told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.catalogue.address import address_advice
from chatbill.adapters.inference.catalogue.files import domain_catalogue, load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import (
    FolderSource,
    GgufSource,
    HubSource,
    Sampling,
    ServerSource,
    Thinking,
    Weights,
    WheelSource,
)
from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Tier
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import ModelId

OWN = """
[[models]]
id = "mine"
name = "Mine"
tier = "mini"
price = { per_reply = 1, per_1k_completion_tokens = 2 }
context_tokens = 4096
max_reply_tokens = 512
weights = "fp32"
lazy = true
source = { kind = "folder", folder = "weights/mine" }
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_demo_offers_one_set_of_weights_in_two_precisions() -> None:
    mini, pro = load_catalogue("demo")

    assert (mini.id, mini.tier, mini.price, mini.weights) == ("demo-mini", Tier.MINI, Price(per_reply=1), Weights.BF16)
    assert (pro.id, pro.tier, pro.price, pro.weights) == ("demo-pro", Tier.PRO, Price(per_reply=3), Weights.INT8)
    assert isinstance(mini.source, WheelSource)
    assert mini.source == pro.source


def test_gemma_is_the_1b_and_the_12b_in_int8() -> None:
    mini, pro = load_catalogue("gemma")

    assert isinstance(mini.source, HubSource)
    assert isinstance(pro.source, HubSource)
    assert mini.source.is_pinned
    assert pro.source.is_pinned
    assert (mini.source.repository, mini.weights, mini.price.per_reply) == ("google/gemma-3-1b-it", Weights.BF16, 1)
    assert (pro.source.repository, pro.weights, pro.price.per_reply) == ("google/gemma-3-12b-it", Weights.INT8, 3)


def test_gemma_gguf_is_a_file_of_the_1b_and_one_in_8_bits_of_the_12b() -> None:
    mini, pro = load_catalogue("gemma-gguf")

    assert isinstance(mini.source, HubSource)
    assert isinstance(pro.source, HubSource)
    assert (mini.source.is_pinned, pro.source.is_pinned) == (True, True)
    assert (mini.source.repository, mini.source.file) == (
        "google/gemma-3-1b-it-qat-q4_0-gguf",
        "gemma-3-1b-it-q4_0.gguf",
    )
    assert (pro.source.repository, pro.source.file) == ("ggml-org/gemma-3-12b-it-GGUF", "gemma-3-12b-it-Q8_0.gguf")


def test_each_entry_says_whether_there_is_a_gguf_file_of_it_and_whether_there_is_anything_else() -> None:
    forms = {
        name: [(spec.has_gguf, spec.is_only_gguf) for spec in load_catalogue(name)]
        for name in ("demo", "gemma", "gemma-gguf")
    }

    assert forms == {"demo": [(True, False)] * 2, "gemma": [(False, False)] * 2, "gemma-gguf": [(True, True)] * 2}


GGUF = OWN.replace('kind = "folder", folder = "weights/mine"', 'kind = "gguf", file = "mine.gguf"')


def test_a_gguf_file_is_relative_to_the_catalogue(tmp_path: Path) -> None:
    (model,) = load_catalogue(written(tmp_path, GGUF.replace('weights = "fp32"', "")))

    assert model.source == GgufSource(file=tmp_path / "mine.gguf")
    assert model.is_only_gguf


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ("lazy", "lazy", "leave out `weights`"),
        ('weights = "fp32"', "#", "llama-gguf-split --merge"),
    ],
)
def test_a_gguf_file_that_cannot_be_run_is_refused(tmp_path: Path, find: str, put: str, told: str) -> None:
    text = GGUF.replace(find, put).replace("mine.gguf", "mine.gguf" if find == "lazy" else "m-00001-of-00003.gguf")

    with pytest.raises(InvalidRequest, match=told):
        load_catalogue(written(tmp_path, text))


@pytest.mark.parametrize("file", ["../secret.gguf", "/etc/x.gguf", "a/../b.gguf", "*.gguf", "model.bin", "[ab].gguf"])
def test_a_file_of_a_repository_is_one_gguf_file_in_it(tmp_path: Path, file: str) -> None:
    source = f'kind = "hub", repository = "maker/tiny", file = "{file}"'
    text = OWN.replace('kind = "folder", folder = "weights/mine"', source).replace('weights = "fp32"', "")

    with pytest.raises(InvalidRequest, match=r"source\.hub\.file"):
        load_catalogue(written(tmp_path, text))


def test_a_catalogue_file_is_read_and_its_folders_are_relative_to_it(tmp_path: Path) -> None:
    (model,) = load_catalogue(written(tmp_path, OWN))

    assert model.source == FolderSource(folder=tmp_path / "weights" / "mine")
    assert model.price == Price(per_reply=1, per_1k_completion_tokens=2)
    assert (model.weights, model.lazy) == (Weights.FP32, True)


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ("per_reply = 1", "per_reply = -1", r"models\[0\]\.price\.per_reply"),
        ("per_reply = 1", "per_replay = 1", r"models\[0\]\.price\.per_replay"),
        ("per_reply = 1", "per_reply = true", r"models\[0\]\.price\.per_reply"),
        ("per_reply = 1", 'per_reply = "1"', r"models\[0\]\.price\.per_reply"),
        ("per_reply = 1", "per_reply = 1.0", r"models\[0\]\.price\.per_reply"),
        ("per_reply = 1", "per_reply = 99999999999999999999999", r"models\[0\]\.price\.per_reply.*1000000000000000"),
        ("per_1k_completion_tokens = 2", "per_1k_completion_tokens = 1000000000000001", "per_1k_completion_tokens"),
        ("4096", "100", "must be less than context_tokens"),
        ("4096", "99999999999999999999", r"models\[0\]\.context_tokens"),
        ("4096", '"4096"', r"models\[0\]\.context_tokens"),
        ("max_reply_tokens = 512", "max_reply_tokens = true", r"models\[0\]\.max_reply_tokens"),
        ("lazy = true", 'lazy = "yes"', r"models\[0\]\.lazy"),
        ("lazy = true", "lazy = 1", r"models\[0\]\.lazy"),
        ("lazy = true", "parameters = 99999999999999999999", r"models\[0\]\.parameters"),
        ("lazy = true", "sampling = { temperature = nan }", r"models\[0\]\.sampling\.temperature"),
        ("lazy = true", "sampling = { temperature = true }", r"models\[0\]\.sampling\.temperature"),
        ("lazy = true", "sampling = { top_k = 99999999999999999999 }", r"models\[0\]\.sampling\.top_k"),
        ("lazy = true", "sampling = { repetition_penalty = 1e-300 }", r"models\[0\]\.sampling\.repetition_penalty"),
        ('"folder",', '"floppy",', r"models\[0\]\.source"),
        ('"fp32"', '"fp8"', r"models\[0\]\.weights.*'bf16'"),
        ('"mine"', '"My Model"', r"models\[0\]\.id"),
        ('"mine"', '"/mine"', r"models\[0\]\.id"),
        ('"mine"', '"mine/"', r"models\[0\]\.id"),
        ('"mine"', '"my//model"', r"models\[0\]\.id"),
        ('"mine"', '"my/../model"', r"models\[0\]\.id"),
        ('"mine"', f'"{"m" * 65}"', r"models\[0\]\.id"),
        ("lazy = true", "lazy = [", "not_toml"),
    ],
)
def test_a_mistake_is_reported_with_file_and_field(tmp_path: Path, find: str, put: str, told: str) -> None:
    file = written(tmp_path, OWN.replace(find, put, 1))

    with pytest.raises(InvalidRequest, match=told) as refused:
        load_catalogue(file)
    assert str(file) in str(refused.value)


ON_SERVER = """
[[models]]
id = "large"
name = "Large"
tier = "pro"
price = { per_reply = 1, per_1k_prompt_tokens = 1, per_1k_completion_tokens = 2 }
context_tokens = 32768
max_reply_tokens = 4096
served_as = "org/Large-70B"

[models.source]
kind = "server"
url = "http://gpu.internal:8001/v1"
api_key_env = "GPU_SERVER_KEY"
tokenizer = "large/tokenizer.json"
"""


def test_a_model_can_be_on_a_server(tmp_path: Path) -> None:
    (model,) = load_catalogue(written(tmp_path, ON_SERVER))

    assert model.source == ServerSource(
        url="http://gpu.internal:8001/v1",
        api_key_env="GPU_SERVER_KEY",
        tokenizer=tmp_path / "large" / "tokenizer.json",
        concurrency=32,
    )
    assert (model.served_name, model.id) == ("org/Large-70B", "large")
    (unnamed,) = load_catalogue(written(tmp_path, ON_SERVER.replace("served_as", "licence")))
    assert unnamed.served_name == "large"


def test_the_examples_for_operators_are_catalogues(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "operators.md").read_text(encoding="utf-8")
    files, server = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (model,) = load_catalogue(written(tmp_path, server))
    assert [each.is_only_gguf for each in load_catalogue(written(tmp_path, files))] == [True, True]

    assert isinstance(model.source, ServerSource)
    assert (model.source.concurrency, model.source.api_key_env) == (64, "GPU_1_KEY")


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ("http://gpu", "http://user:password@gpu", "url"),
        ("http://gpu", "gpu", "url"),
        ('"GPU_SERVER_KEY"', '"sk-123456"', "api_key_env"),
        ("api_key_env", "api_key", "api_key"),
    ],
)
def test_a_key_is_not_accepted_in_the_file(tmp_path: Path, find: str, put: str, told: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"models\[0\]\.source.*\.{told}"):
        load_catalogue(written(tmp_path, ON_SERVER.replace(find, put)))


@pytest.mark.parametrize(
    "url", ["http://gpu:99999/v1", "http://[::1/v1", "http://gpu:x/v1", "http://:80/v1", "https://"]
)
def test_an_impossible_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"models\[0\]\.source.*\.url"):
        load_catalogue(written(tmp_path, ON_SERVER.replace("http://gpu.internal:8001/v1", url)))


@pytest.mark.parametrize(
    "url",
    ["http://gpu:8001", "https://a.example/v1/", "http://[::1]:65535/v1", "http://10.0.0.1:1/v1", "http://ü_1.de/v1"],
)
def test_a_possible_address_is_accepted_and_can_be_asked(tmp_path: Path, url: str) -> None:
    (spec,) = load_catalogue(written(tmp_path, ON_SERVER.replace("http://gpu.internal:8001/v1", url)))

    assert isinstance(spec.source, ServerSource)
    assert spec.source.url == url
    assert OpenAIEngine([spec]).status()[spec.id].state is ModelState.LOADING


def test_two_models_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"used_twice.*mine"):
        load_catalogue(written(tmp_path, OWN + OWN))


@pytest.mark.parametrize(("line", "thinking"), [("", None), *((f'thinking = "{mode}"', mode) for mode in Thinking)])
def test_a_catalogue_says_how_a_model_writes_its_thoughts(tmp_path: Path, line: str, thinking: Thinking | None) -> None:
    (spec,) = load_catalogue(written(tmp_path, OWN.replace("lazy = true", line)))
    assert spec.thinking is thinking


def test_an_unknown_catalogue_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"unreadable_catalogue.*known=demo, gemma"):
        load_catalogue(tmp_path / "absent.toml")


def test_prices_are_settings() -> None:
    catalogue = domain_catalogue(load_catalogue("demo"), {ModelId("demo-pro"): Price(per_reply=7)})

    assert [model.price.per_reply for model in catalogue.values()] == [1, 7]
    assert catalogue[ModelId("demo-pro")].max_reply_tokens == 512
    with pytest.raises(InvalidRequest, match=r"models_not_in_catalogue.*names=other, known=demo-mini, demo-pro"):
        domain_catalogue(load_catalogue("demo"), {ModelId("other"): Price(per_reply=1)})


def test_a_whole_number_is_accepted_for_a_fraction(tmp_path: Path) -> None:
    (model,) = load_catalogue(written(tmp_path, OWN + "sampling = { temperature = 1, top_p = 0.5, top_k = 40 }\n"))

    assert model.sampling == Sampling(temperature=1.0, top_p=0.5, top_k=40)


@pytest.mark.parametrize("part", ["per_reply", "per_1k_prompt_tokens", "per_1k_completion_tokens"])
def test_no_reply_can_cost_more_than_a_wallet_can_hold(part: str) -> None:
    for credits_, allowed in ((MAX_CREDITS // 10, True), (MAX_CREDITS, part == "per_reply")):
        specs = [replace(load_catalogue("demo")[0], context_tokens=4_000, max_reply_tokens=2_000)]
        price = Price(**{"per_reply": 0} | {part: credits_})
        if allowed:
            assert domain_catalogue(specs, {specs[0].id: price})[specs[0].id].price == price
            continue
        with pytest.raises(InvalidRequest, match=r"^price of demo-mini: price_too_high"):
            domain_catalogue(specs, {specs[0].id: price})


@pytest.mark.parametrize("name", ["org/Model-8B", "org/model:free", "a/b/c.1", "Qwen3_8b", "m" * 64])
def test_an_id_may_be_what_other_services_call_the_model(tmp_path: Path, name: str) -> None:
    (spec,) = load_catalogue(written(tmp_path, OWN.replace('"mine"', f'"{name}"', 1)))[:1]
    assert spec.id == name


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://gpu:8001", "http://gpu:8001/v1"),
        ("http://gpu:8001/", "http://gpu:8001/v1"),
        ("https://user:secret@api.example/api", "https://api.example/api/v1"),
        ("http://gpu:8001/v1", ""),
        ("https://api.example/api/paas/v4/", ""),
        ("https://api.example/v1beta/openai", ""),
    ],
)
def test_an_address_without_v1_is_told(url: str, told: str) -> None:
    words = address_advice(url)
    assert (told in words) if told else not words
    assert "secret" not in words
