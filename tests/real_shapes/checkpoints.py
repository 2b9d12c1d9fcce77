"""Checkpoints with the real shapes of Gemma 3 and random weights: what the hub gives, but for the sense in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from chatbill.adapters.inference.transformers.int8.alignment import align_file
from chatbill.adapters.inference.transformers.int8.quantizer import Int8Config, replace_layers
from tests.kit.models import gemma_folder

PARAMETERS = {"1b": 999_885_952, "12b": 12_187_325_040}
"""As counted in the published checkpoints; a shape that was mistyped below would not add up to it."""

SHARD_BYTES = 2_000_000_000
FULL_ATTENTION_EVERY = 6

_library: Any = transformers


def make_checkpoint(size: str, folder: Path, *, int8: bool = False) -> None:
    """Write the model of this size, "1b" or "12b", in shards of about 2 GB: in bfloat16, or as a CPU's int8 copy."""
    config = _config(size)
    with torch.device("meta"):
        model = getattr(_library, config.architectures[0])(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[size]
    folder.mkdir(parents=True)
    if int8:
        replace_layers(model)
        config.quantization_config = Int8Config()
    config.save_pretrained(folder)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(_shards(model, rename=(lambda name: name) if int8 else _published_name), start=1):
        name = f"model-{number:05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        align_file(folder / name)
        weight_map |= dict.fromkeys(shard, name)
    index = {"metadata": {"total_size": 2 * PARAMETERS[size]}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    # All of the family read text the same way.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(gemma_folder() / name, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 106], "do_sample": False}))


def _config(size: str) -> Any:
    if size == "1b":
        config = _text_config(layers=26, hidden=1_152, inner=6_912, heads=4, key_value_heads=1, window=512)
        config.architectures = ["Gemma3ForCausalLM"]
    else:
        text = _text_config(layers=48, hidden=3_840, inner=15_360, heads=16, key_value_heads=8, window=1_024)
        vision = {
            "model_type": "siglip_vision_model",
            "hidden_size": 1_152,
            "intermediate_size": 4_304,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "image_size": 896,
            "patch_size": 14,
            "vision_use_head": False,
        }
        config = _library.Gemma3Config(
            text_config={**text.to_dict(), "vocab_size": 262_208}, vision_config=vision, mm_tokens_per_image=256
        )
        config.architectures = ["Gemma3ForConditionalGeneration"]
    config.dtype = torch.bfloat16
    return config


def _text_config(*, layers: int, hidden: int, inner: int, heads: int, key_value_heads: int, window: int) -> Any:
    return _library.Gemma3TextConfig(
        vocab_size=262_144,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=256,
        sliding_window=window,
        layer_types=[
            "sliding_attention" if layer % FULL_ATTENTION_EVERY else "full_attention" for layer in range(1, layers + 1)
        ],
    )


def _shards(model: Any, *, rename: Callable[[str], str]) -> Iterator[dict[str, torch.Tensor]]:
    """The parameters by their names in the files, filled from blocks of noise, a shard at a time."""
    generator = torch.Generator().manual_seed(0)
    floats = torch.randn(2**24, generator=generator).mul_(0.02).to(torch.bfloat16)
    integers = torch.randint(-127, 128, (2**24,), dtype=torch.int8, generator=generator)
    shard: dict[str, torch.Tensor] = {}
    size = 0
    for name, parameter in model.named_parameters():
        if name in model.all_tied_weights_keys:
            continue
        if size + parameter.nbytes > SHARD_BYTES and shard:
            yield shard
            shard, size = {}, 0
        noise = integers if parameter.dtype == torch.int8 else floats
        if name.endswith("weight_scale"):
            noise = torch.full((1,), 0.02 / 64, dtype=torch.bfloat16)
        count = parameter.numel()
        repeated = noise.repeat(-(-count // noise.numel()))[:count]
        shard[rename(name)] = repeated.view(parameter.shape).clone()
        size += parameter.nbytes
    yield shard


def _published_name(name: str) -> str:
    for ours, theirs in (
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name
