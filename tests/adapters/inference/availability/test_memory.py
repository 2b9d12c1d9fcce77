"""The memory that a model needs is estimated from its files."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.availability.free_memory import free_ram_bytes
from chatbill.adapters.inference.availability.memory import fit, need_of
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.weights.checkpoint import read_checkpoint
from chatbill.entrypoints.web.texts import render

GB = 1_000_000_000
GEMMA_12B_CONFIG = {
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 3_840,
        "intermediate_size": 15_360,
        "model_type": "gemma3_text",
        "num_attention_heads": 16,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "sliding_window": 1_024,
    },
}


def gemma(model: int = 1, **changes: object) -> ModelSpec:
    return replace(load_catalogue("gemma")[model], **changes)  # type: ignore[arg-type]


def write_headers(folder: Path, tensors: Mapping[str, tuple[int, ...]], config: Mapping[str, object]) -> Path:
    """A checkpoint of which nothing but the headers exists."""
    folder.mkdir(exist_ok=True)
    names = list(tensors)
    for number, part in enumerate((names[::2], names[1::2])):
        header = json.dumps(
            {"__metadata__": {}}
            | {name: {"dtype": "BF16", "shape": tensors[name], "data_offsets": [0, 0]} for name in part}
        ).encode()
        (folder / f"model-{number}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def gemma_12b(folder: Path) -> Path:
    """Names and shapes of Gemma 3 12B as the hub has it, its short configuration included."""
    text = "language_model.model"
    tensors: dict[str, tuple[int, ...]] = {
        f"{text}.embed_tokens.weight": (262_208, 3_840),
        f"{text}.norm.weight": (3_840,),
    }
    for layer in range(48):
        at = f"{text}.layers.{layer}"
        tensors |= {
            f"{at}.self_attn.{name}.weight": (rows, 3_840)
            for name, rows in (("q_proj", 4_096), ("k_proj", 2_048), ("v_proj", 2_048))
        }
        tensors |= {f"{at}.mlp.{name}.weight": (15_360, 3_840) for name in ("gate_proj", "up_proj")}
        tensors |= {f"{at}.self_attn.o_proj.weight": (3_840, 4_096), f"{at}.mlp.down_proj.weight": (3_840, 15_360)}
        tensors |= {f"{at}.self_attn.{name}.weight": (256,) for name in ("q_norm", "k_norm")}
        tensors |= {
            f"{at}.{name}_layernorm.weight": (3_840,)
            for name in ("input", "post_attention", "pre_feedforward", "post_feedforward")
        }
    tensors |= {
        "multi_modal_projector.mm_input_projection_weight": (1_152, 3_840),
        "multi_modal_projector.mm_soft_emb_norm.weight": (1_152,),
    }
    for layer in range(27):
        at = f"vision_tower.vision_model.encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= {f"{at}.self_attn.{name}.weight": (1_152, 1_152), f"{at}.self_attn.{name}.bias": (1_152,)}
        tensors |= {f"{at}.mlp.fc1.weight": (4_304, 1_152), f"{at}.mlp.fc2.weight": (1_152, 4_304)}
        tensors |= {f"{at}.mlp.fc1.bias": (4_304,), f"{at}.mlp.fc2.bias": (1_152,)}
        tensors |= {f"{at}.layer_norm{which}.{part}": (1_152,) for which in (1, 2) for part in ("weight", "bias")}
    tower = "vision_tower.vision_model"
    tensors |= {
        f"{tower}.embeddings.patch_embedding.weight": (1_152, 3, 14, 14),
        f"{tower}.embeddings.patch_embedding.bias": (1_152,),
    }
    tensors |= {f"{tower}.embeddings.position_embedding.weight": (4_096, 1_152)}
    tensors |= {f"{tower}.post_layernorm.{part}": (1_152,) for part in ("weight", "bias")}
    return write_headers(folder, tensors, GEMMA_12B_CONFIG)


def test_gemma_12b_is_counted_tensor_by_tensor(tmp_path: Path) -> None:
    found = read_checkpoint(gemma_12b(tmp_path), Weights.INT8, on_gpu=True)

    assert found
    assert found.parameters == 12_187_325_040
    # 11.2e9 bytes of quantized layers, 2.0e9 of embedding in 16 bits, little else.
    assert 13.1e9 < found.weights_bytes < 13.4e9
    assert found.mapped_bytes == 0
    assert (found.whole_layers_bytes, found.window_layers_bytes, found.window_tokens) == (8 * 8_192, 40 * 8_192, 1_024)
    assert found.cache_bytes(8_192, read_tokens=256) == 8_192 * 8 * 8_192 + (1_280 * 3 // 2 + 64) * 40 * 8_192


def test_on_a_cpu_the_embedding_of_the_12b_is_in_8_bits_too(tmp_path: Path) -> None:
    found = read_checkpoint(gemma_12b(tmp_path), Weights.INT8)

    assert found
    assert 12.18e9 < found.weights_bytes < 12.22e9
    # Some thousand rows of the widest layer in 32 bits; the 2 GB of the embedding are never copied.
    assert found.largest_bytes < 0.3e9


def test_weights_that_are_stored_as_a_cpu_uses_them_stay_in_the_files_but_for_those_that_are_packed(
    tmp_path: Path,
) -> None:
    folder = gemma_12b(tmp_path)
    mapped = read_checkpoint(folder, Weights.BF16)
    converted = read_checkpoint(folder, Weights.FP32)
    on_gpu = read_checkpoint(folder, Weights.BF16, on_gpu=True)

    assert mapped
    assert converted
    assert on_gpu
    # The vision tower, which is not used, and the vectors of the norms.
    assert 0.8e9 < mapped.mapped_bytes < 0.9e9
    assert mapped.weights_bytes > 24e9
    assert (converted.mapped_bytes, on_gpu.mapped_bytes) == (0, 0)


def test_a_machine_too_small_for_the_12b_learns_what_is_missing(tmp_path: Path) -> None:
    folder = gemma_12b(tmp_path)
    short = fit(gemma(), folder=folder, free_bytes=12 * GB, where="RAM", slots=8)
    enough = fit(gemma(), folder=folder, free_bytes=32 * GB, where="RAM", slots=8)

    assert (short.fits, short.slots) == (False, 0)
    assert "of RAM (12.2 GB" in render(short.description)
    assert "12.0 GB are free; free " in render(short.description)
    assert (enough.fits, enough.slots) == (True, 8)


def test_where_not_all_replies_fit_at_once_fewer_are_written(tmp_path: Path) -> None:
    found = fit(gemma(), folder=gemma_12b(tmp_path), free_bytes=17 * GB, where="RAM", slots=8)

    assert 1 <= found.slots < 8
    assert found.need_bytes <= 17 * GB < found.need.total(found.slots + 1)
    assert f"so it writes {found.slots}" in render(found.description)


def test_a_shorter_context_is_proposed_where_it_would_do(tmp_path: Path) -> None:
    spec, folder = gemma(context_tokens=131_072), gemma_12b(tmp_path)
    found = fit(spec, folder=folder, free_bytes=18 * GB, where="RAM")

    assert not found.fits
    proposed = int(render(found.description).split("context_tokens to ")[1].split()[0])
    assert fit(replace(spec, context_tokens=proposed), folder=folder, free_bytes=18 * GB, where="RAM").fits


@given(free=st.integers(min_value=0, max_value=200 * GB), slots=st.integers(min_value=1, max_value=64))
def test_the_replies_that_fit_do_and_one_more_does_not(free: int, slots: int) -> None:
    found = fit(gemma(), folder=None, free_bytes=free, where="GPU memory", slots=slots)

    assert 0 <= found.slots <= slots
    assert found.slots == 0 or found.need.total(found.slots) <= free
    assert found.slots == slots or found.need.total(found.slots + 1) > free


def test_a_tied_output_layer_that_is_stored_is_counted_once(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": (1_000, 10), "lm_head.weight": (1_000, 10)}
    tied = write_headers(tmp_path / "tied", tensors, {"tie_word_embeddings": True})
    apart = write_headers(tmp_path / "apart", tensors, {"tie_word_embeddings": False})

    assert need_of(gemma(), tied, "RAM").weights_bytes == 20_000
    assert need_of(gemma(), apart, "RAM").weights_bytes == 40_000


def test_a_model_with_one_tensor_for_all_projections_is_counted_by_its_configuration(tmp_path: Path) -> None:
    config = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 64}
    folder = write_headers(tmp_path, {"layers.0.qkv_proj.weight": (192, 64)}, config)
    found = read_checkpoint(folder, Weights.BF16)

    assert found
    assert found.cache_bytes(10, read_tokens=256) == 10 * 3 * 2 * 64 * 2


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (
            "0::/a/b",
            {
                "memory.max": "3000",
                "memory.current": "2500",
                "memory.stat": "anon 1\ninactive_file 600\nactive_file 400",
            },
        ),
        (
            "5:cpu,memory:/a/b",
            {
                "memory.limit_in_bytes": "3000",
                "memory.usage_in_bytes": "2500",
                "memory.stat": "total_inactive_file 600\ntotal_active_file 400",
            },
        ),
    ],
)
@pytest.mark.parametrize("level", ["", "a", "a/b"])
def test_the_tightest_control_group_counts_and_cached_files_are_free(
    tmp_path: Path, line: str, files: dict[str, str], level: str
) -> None:
    (tmp_path / "membership").write_text(f"{line}\n1:name=systemd:/x\n")
    root = tmp_path / "groups" / ("memory" if "cpu" in line else "")
    (root / "a" / "b").mkdir(parents=True)
    for name, text in files.items():
        (root / level / name).write_text(text)

    assert free_ram_bytes(groups=tmp_path / "groups", membership=tmp_path / "membership") == 1_500


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_a_group_without_a_limit_leaves_what_the_machine_has(tmp_path: Path, limit: str) -> None:
    (tmp_path / "membership").write_text("0::/\n")
    for name, text in (("memory.max", limit), ("memory.current", "5"), ("memory.stat", "anon 5")):
        (tmp_path / name).write_text(text)

    assert free_ram_bytes(groups=tmp_path, membership=tmp_path / "membership") > 1_000_000
    assert free_ram_bytes(groups=tmp_path / "none", membership=tmp_path / "none") > 1_000_000
