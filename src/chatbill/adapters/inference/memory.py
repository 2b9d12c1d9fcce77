"""How much memory a model needs, held against what the machine has free."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import psutil

from chatbill.adapters.inference.model_spec import ModelSpec, Weights

_BYTES_PER_WEIGHT = {Weights.BF16: 2.0, Weights.FP32: 4.0, Weights.INT8: 1.15}
"""INT8 keeps embeddings and norms in 16 bits, and a scale for each row: about 15 percent more than a byte each."""

_RUNTIME_BYTES = 600_000_000
"""What the libraries themselves and the activations of one prompt take, as measured on small models."""

_KEY_VALUE_BYTES_PER_WEIGHT = 3.3e-5
"""Key-value cache of one token for each weight of the model; Gemma 3 has 2.7e-5 at 1B and 3.2e-5 at 12B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a model fits in memory, with the figures in bytes and a sentence for people."""

    fits: bool
    need_bytes: int
    free_bytes: int
    words: str


def fit(spec: ModelSpec, *, folder: Path | None, free_bytes: int, where: str) -> Fit:
    """Hold the need of a model against `free_bytes` of memory `where` it would run.

    The number of weights is read from the checkpoint when it is there, and taken from the catalogue when not.
    """
    weights = (weight_count(folder) if folder else 0) or spec.parameters
    need = int(weights * _BYTES_PER_WEIGHT[spec.weights]) + spec.context_tokens * _key_value_bytes(folder, weights)
    need += _RUNTIME_BYTES if weights else 0
    figures = f"needs about {_gigabytes(need)} of {where} and {_gigabytes(free_bytes)} are free"
    if not weights:
        return Fit(fits=True, need_bytes=0, free_bytes=free_bytes, words="its size is not known before it is fetched")
    if need > free_bytes:
        words = f"{figures}; free some memory, or choose a smaller model"
        return Fit(fits=False, need_bytes=need, free_bytes=free_bytes, words=words)
    return Fit(fits=True, need_bytes=need, free_bytes=free_bytes, words=figures)


def free_ram_bytes() -> int:
    """RAM that this process can still take, in bytes: of the machine, or of its control group where that is less."""
    free: int = psutil.virtual_memory().available
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def weight_count(folder: Path) -> int:
    """Number of weights in the safetensors files of a folder, read from their headers alone; 0 when there are none."""
    return sum(
        prod(tensor["shape"])
        for file in folder.glob("*.safetensors")
        for name, tensor in _header(file).items()
        if name != "__metadata__"
    )


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    # The format: 8 bytes with the length of a JSON object, little-endian, then the object.
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header: dict[str, dict[str, list[int]]] = json.loads(stream.read(length))
    return header


def _key_value_bytes(folder: Path | None, weights: int) -> int:
    """Bytes of key-value cache for one token, in 16 bits; every layer counted as if it saw the whole window."""
    guess = int(weights * _KEY_VALUE_BYTES_PER_WEIGHT)
    if folder is None:
        return guess
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    try:
        heads = config.get("num_key_value_heads") or config["num_attention_heads"]
        size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        return int(2 * 2 * config["num_hidden_layers"] * heads * size)
    except KeyError:
        return guess


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
