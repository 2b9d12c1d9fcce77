"""Real models with int8 weights on a CPU, held against the same models in full and by bitsandbytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.inference.availability.memory import need_of
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import Weights
from chatbill.adapters.inference.transformers import torch_runtime
from chatbill.adapters.inference.weights.checkpoint import read_checkpoint
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from tests.adapters.inference.transformers.tiny import KINDS, make_tiny
from tests.kit.models import demo_model_folder, gemma_folder

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

DOCS = Path(__file__).parents[5] / "docs"
TOKENS = 384
FRANCE = "What is the capital of France? Answer in one sentence."


@cache
def parts() -> tuple[Any, Any, Any]:
    """Torch, Transformers and the int8 layers, which are slow to import."""
    torch_runtime()
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    from chatbill.adapters.inference.transformers.int8 import quantizer  # noqa: PLC0415

    return torch, transformers, quantizer


def quantized_copy(source: Path, target: Path) -> Any:
    """Make a copy with int8 weights, and load it."""
    torch, transformers, _ = parts()
    torch_runtime("cpu").quantize(source, target)
    return transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.bfloat16)


def logits(model: Any, folder: Path, *, text: str = "") -> Any:
    """Return log-probabilities (tokens by vocabulary) after each token of some English text."""
    torch, transformers, _ = parts()
    text = text or (DOCS / "architecture.md").read_text()
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids[:, :TOKENS]
    with torch.inference_mode():
        return model(input_ids=ids).logits[0].float().log_softmax(-1), ids[0]


def divergence(expected: Any, found: Any) -> float:
    """Return the mean Kullback-Leibler divergence, in nats a token."""
    return float((expected.exp() * (expected - found)).sum(-1).mean())


@pytest.mark.parametrize("folder", [demo_model_folder, gemma_folder])
def test_int8_is_closer_to_the_full_model_than_bitsandbytes_int8_is(tmp_path: Path, folder: Any) -> None:
    torch, transformers, _ = parts()
    source = folder()
    load = transformers.AutoModelForCausalLM.from_pretrained
    full, ids = logits(load(source, dtype=torch.float32), source)
    ours, _ = logits(quantized_copy(source, tmp_path / "copy"), source)
    config = transformers.BitsAndBytesConfig(load_in_8bit=True)
    theirs, _ = logits(load(source, dtype=torch.bfloat16, quantization_config=config), source)

    assert divergence(full, ours) < 0.75 * divergence(full, theirs)
    perplexity = [float(-found[:-1].gather(1, ids[1:, None]).mean()) for found in (full, ours, theirs)]
    # Of so few tokens, as little as another text would change it.
    assert abs(perplexity[1] - perplexity[0]) < max(0.03, abs(perplexity[2] - perplexity[0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_a_copy_is_what_was_quantized_and_takes_the_memory_foretold(tmp_path: Path, kind: str, tied: bool) -> None:
    torch, transformers, quantizer = parts()
    source, target = tmp_path / "source", tmp_path / "copy"
    make_tiny(source, kind, tied=tied)
    at_once = transformers.AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16, quantization_config=quantizer.Int8Config()
    )
    copy = quantized_copy(source, target)
    spec = load_catalogue("gemma")[1]
    foretold, found = need_of(spec, source, "RAM"), need_of(spec, target, "RAM")

    assert torch.equal(logits(at_once, source, text="some words")[0], logits(copy, source, text="some words")[0])
    in_memory = sum(weight.nbytes for weight in copy.parameters())
    assert foretold.weights_bytes == found.weights_bytes == pytest.approx(in_memory, rel=0.01)
    assert found.mapped_bytes == pytest.approx(found.weights_bytes, rel=0.01)
    assert found.reply_bytes == foretold.reply_bytes
    heads = copy.get_input_embeddings().weight, copy.get_output_embeddings().weight
    assert (heads[0].data_ptr() == heads[1].data_ptr()) is tied
    assert heads[1].dtype is torch.int8


def test_a_copy_of_the_demo_model_is_half_as_large_and_stays_in_its_file(tmp_path: Path) -> None:
    quantized_copy(demo_model_folder(), tmp_path / "copy")
    copy, source = (read_checkpoint(folder, Weights.INT8) for folder in (tmp_path / "copy", demo_model_folder()))

    assert copy
    assert source
    assert copy.weights_bytes == source.weights_bytes < 136_000_000
    assert copy.mapped_bytes == copy.weights_bytes
    assert source.mapped_bytes < 0.01 * source.weights_bytes


def test_the_service_writes_the_same_from_a_copy_as_when_it_quantizes_at_its_start(tmp_path: Path) -> None:
    runtime, spec = torch_runtime("cpu"), load_catalogue("demo")[1]
    runtime.quantize(demo_model_folder(), tmp_path / "copy")
    texts = []
    for folder in (demo_model_folder(), tmp_path / "copy"):
        model = runtime.load(spec, folder)
        request = GenerationRequest(model=spec.id, turns=(Turn(Role.USER, FRANCE),), max_tokens=40, temperature=0.0)
        writing = model.begin(request, model.encode(request.turns), max_tokens=40)
        while not writing.ended:
            model.step([writing])
        texts.append("".join(chunk.text for chunk in writing.take()))

    assert texts[0] == texts[1]
    assert "Paris" in texts[1]


@pytest.mark.parametrize("shift", [0, 8, 16])
def test_weights_are_read_from_aligned_addresses_wherever_they_lie_in_the_file(tmp_path: Path, shift: int) -> None:
    """Torch's kernel for four rows ends the process at other addresses."""
    runtime, spec = torch_runtime("cpu"), load_catalogue("demo")[1]
    runtime.quantize(demo_model_folder(), tmp_path)
    [file] = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert (8 + length) % 64 == 0
    file.write_bytes(
        (length + shift).to_bytes(8, "little") + content[8 : 8 + length] + b" " * shift + content[8 + length :]
    )

    model: Any = runtime.load(spec, tmp_path)
    weights = [layer.weight for layer in model._model.modules() if hasattr(layer, "weight_scale")]

    assert len(weights) > 100
    assert {weight.data_ptr() % 16 for weight in weights} == {0}
    assert model._model.get_input_embeddings().weight is model._model.get_output_embeddings().weight


def test_layers_that_torch_kernels_cannot_read_stay_in_16_bits() -> None:
    torch, _, quantizer = parts()
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(40, 8), torch.nn.Linear(48, 8, bias=False))
    model.all_tied_weights_keys = {}
    model.get_input_embeddings = model.get_output_embeddings = lambda: None
    quantizer.replace_layers(model)

    assert [type(layer).__name__ for layer in model] == ["Linear", "Int8Linear"]
