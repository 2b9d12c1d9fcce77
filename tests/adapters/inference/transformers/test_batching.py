"""Replies written together: the same tokens as a plain `generate` writes alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, Sampling, Weights
from chatbill.adapters.inference.transformers import torch_runtime
from chatbill.adapters.inference.transformers.runtime import LocalModel
from tests.adapters.inference.transformers.equality import (
    Asked,
    assert_same_but_for_a_near_tie,
    plain_greedy,
    shorter_in_bfloat16,
    write_together,
)
from tests.adapters.inference.transformers.tiny import KINDS, WINDOW, make_tiny
from tests.kit.models import demo_model_folder

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

END = frozenset({2})
TEXTS = (
    "What is the capital of France?",
    "Tell me a long story about a fox and a bear. " * 12,
    "Hi",
    "Count: 1, 2, 3,",
    "Write three lines about the sea. " * 3,
    "Who was Ada Lovelace, and what did she write?",
    "List ten animals.",
    "Repeat exactly: 日本語",
)


@cache
def loaded(folder: Path, weights: Weights) -> LocalModel:
    spec = replace(
        load_catalogue("demo")[0],
        weights=weights,
        source=FolderSource(folder=folder),
        sampling=Sampling(temperature=0.0, repetition_penalty=1.0),
    )
    return torch_runtime().load(spec, folder)


@cache
def plain(folder: Path, weights: Weights) -> Any:
    torch_runtime()
    import torch  # noqa: PLC0415 - slow, and only for these tests
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    dtype = torch.float32 if weights is Weights.FP32 else torch.bfloat16
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def asks(max_tokens: int) -> list[Asked]:
    """Eight prompts of different lengths: some come later, some leave early, one is longer than a step reads."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow, and only for these tests

    tokenizer: Any = AutoTokenizer.from_pretrained(demo_model_folder())
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
        )
        for text in TEXTS
    ]
    joins = (0, 0, 0, 3, 5, 5, 11, 12)
    leaves = (None, None, 4, None, 9, None, None, None)
    lengths = (1.0, 1.0, 1.0, 0.5, 1.0, 0.75, 1.0, 0.1)
    return [
        Asked(prompt=tuple(prompt), max_tokens=max(1, int(max_tokens * part)), joins_at=at, leaves_after=after)
        for prompt, at, after, part in zip(prompts, joins, leaves, lengths, strict=True)
    ]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        make_tiny(folder, kind)
    return folders


@pytest.mark.slow
def test_alone_and_in_a_batch_of_8_the_demo_model_writes_what_generate_writes() -> None:
    model, weights = (load(demo_model_folder(), Weights.FP32) for load in (loaded, plain))
    asked = asks(16)
    expected = [plain_greedy(weights, ask, end_tokens=END) for ask in asked]

    assert write_together(model, asked) == expected
    assert [write_together(model, [ask])[0] for ask in asked[2:4]] == expected[2:4]


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_model_writes_in_a_batch_what_generate_writes(tiny: dict[str, Path], kind: str) -> None:
    model, weights = (load(tiny[kind], Weights.FP32) for load in (loaded, plain))
    asked = asks(3 * WINDOW)
    # Prompts that just fill the window, and just do not fit in it.
    asked += [replace(asked[0], prompt=asked[0].prompt[: WINDOW + more]) for more in (-1, 0, 1)]
    expected = [plain_greedy(weights, ask, end_tokens=END) for ask in asked]

    assert any(len(set(tokens)) > WINDOW for tokens in expected)
    assert write_together(model, asked) == expected
    assert [write_together(model, [ask])[0] for ask in asked] == expected


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_sliding_window_matters_in_these_tests(tiny: dict[str, Path], kind: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415 - slow, and only for this test

    config: Any = AutoConfig.from_pretrained(tiny[kind])
    config.get_text_config().sliding_window = 4_096
    wide = AutoModelForCausalLM.from_pretrained(tiny[kind], config=config)
    asked = asks(3 * WINDOW)

    assert [plain_greedy(wide, ask, end_tokens=END) for ask in asked] != [
        plain_greedy(plain(tiny[kind], Weights.FP32), ask, end_tokens=END) for ask in asked
    ]


@pytest.mark.slow
def test_in_bfloat16_replies_differ_from_generate_at_near_ties_only() -> None:
    folder = demo_model_folder()
    asked = shorter_in_bfloat16(asks(24))
    written = write_together(loaded(folder, Weights.BF16), asked)

    for ask, tokens in zip(asked, written, strict=True):
        expected = plain_greedy(plain(folder, Weights.BF16), ask, end_tokens=END)
        in_bfloat16 = plain(folder, Weights.BF16)
        assert_same_but_for_a_near_tie(plain(folder, Weights.FP32), ask, expected, tokens, in_bfloat16=in_bfloat16)


@pytest.mark.parametrize("kind", KINDS)
def test_in_8_bits_a_batch_is_written_completely(tiny: dict[str, Path], kind: str) -> None:
    asked = asks(12)
    written = write_together(loaded(tiny[kind], Weights.INT8), asked)

    for ask, tokens in zip(asked, written, strict=True):
        assert len(tokens) in ({ask.leaves_after} if ask.leaves_after else range(ask.max_tokens + 1))
