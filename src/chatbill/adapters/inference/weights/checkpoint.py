"""Read the size of a checkpoint from its headers and its configuration, without its weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from chatbill.adapters.inference.catalogue.model_spec import Weights

_GEMMA_PATTERN = 6
"""One layer of this many sees the whole context in Gemma 3; older configurations lack the number."""

_CACHE_BLOCK_TOKENS = 64
_NOT_LINEAR = ("embed", "wte", "wpe", "shared")
_HEAD = "lm_head.weight"
_GPU_SCALE_BYTES, _CPU_SCALE_BYTES = 4, 2
_COLUMNS, _BLOCK_ROWS = 16, 2_048
"""Of int8 layers on a CPU; see `transformers/int8/modules.py`."""
_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
_INTEGER_BYTES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Sizes of one checkpoint.

    `weights_bytes` is what stays in memory; `mapped_bytes` of it are pages of the files themselves. `largest_bytes` is
    what the largest tensor takes while it is loaded, beside that. Of the layers, each token of the whole context is
    kept by those in `whole_layers` and each token of the last `window_tokens` by those in `window_layers`; the figures
    are bytes of keys and values for one token.
    """

    parameters: int
    weights_bytes: int
    mapped_bytes: int
    largest_bytes: int
    whole_layers_bytes: int
    window_layers_bytes: int
    window_tokens: int
    hidden_size: int
    intermediate_size: int
    vocabulary: int

    def cache_bytes(self, context_tokens: int, *, read_tokens: int) -> int:
        """Return the most memory for keys and values of one reply whose prompt and text fill the context.

        A prompt is read in parts of `read_tokens`. The cache of a layer with a window keeps a part beside the window,
        and half as much again, so that it need not be moved for each token.
        """
        windowed = min(context_tokens, (self.window_tokens + read_tokens) * 3 // 2 + _CACHE_BLOCK_TOKENS)
        return context_tokens * self.whole_layers_bytes + windowed * self.window_layers_bytes


def read_checkpoint(folder: Path, weights: Weights, *, on_gpu: bool = False) -> Checkpoint | None:
    """Return the sizes of the safetensors files of a folder, in the given precision; None when there are none.

    In int8, each linear layer has one byte a weight and a scale for each row, and all else stays in 16 bits. On a GPU
    the output layer stays in 16 bits too; on a CPU it does not, nor does the embedding with which it shares its weight.
    An output layer that is tied to the embedding is counted once, as it is kept. On a CPU, tensors that are stored as
    they are used stay in the files, which are mapped into memory; but linear layers in 16 or 32 bits are copied. Of an
    embedding whose output layer is copied only the rows of the tokens that occur are read, and not counted.
    """
    config = _config(folder)
    tied = bool(config.get("tie_word_embeddings", config.get("model_type", "").startswith("gemma")))
    tensors = {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in _tensors(file)}
    embedded = any("embed_tokens" in name for name in tensors)
    kept = {name: t for name, t in tensors.items() if not (tied and embedded and name.endswith("lm_head.weight"))}
    if not kept:
        return None
    sizes = {name: _Sizes(name, tensor, weights, on_gpu=on_gpu, tied=tied) for name, tensor in kept.items()}
    keys, values = _row_bytes(kept, "k_proj", weights), _row_bytes(kept, "v_proj", weights)
    per_layer = [keys[layer] + values[layer] for layer in sorted(keys) if layer in values]
    if not per_layer:
        per_layer = _layers_by_config(config, weights)
    whole = [size for layer, size in enumerate(per_layer) if not _is_windowed(config, layer)]
    hidden = int(config.get("hidden_size", 0))
    return Checkpoint(
        parameters=sum(prod(tensor.shape) for tensor in kept.values()),
        weights_bytes=sum(size.kept for size in sizes.values()),
        mapped_bytes=sum(size.kept for size in sizes.values() if size.is_mapped),
        largest_bytes=max(size.while_loading for size in sizes.values()),
        whole_layers_bytes=sum(whole),
        window_layers_bytes=sum(per_layer) - sum(whole),
        window_tokens=int(config.get("sliding_window") or 0),
        hidden_size=hidden,
        intermediate_size=int(config.get("intermediate_size", 4 * hidden)),
        vocabulary=int(config.get("vocab_size", 0)),
    )


@dataclass(frozen=True, slots=True)
class _Tensor:
    kind: str
    shape: tuple[int, ...]


def _tensors(file: Path) -> Iterator[tuple[str, _Tensor]]:
    # The format: 8 bytes with the length of a JSON object, little-endian, then the object.
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header: dict[str, Any] = json.loads(stream.read(length))
    for name, tensor in header.items():
        if name != "__metadata__":
            yield name, _Tensor(tensor.get("dtype", "BF16"), tuple(tensor["shape"]))


class _Sizes:
    """Bytes of one tensor: in memory, and what it takes beside that while it is loaded."""

    def __init__(self, name: str, tensor: _Tensor, weights: Weights, *, on_gpu: bool, tied: bool) -> None:
        count, rows = prod(tensor.shape), tensor.shape[0] if tensor.shape else 1
        stored = tensor.kind == ("F32" if weights is Weights.FP32 else "BF16") or tensor.kind not in _FLOATS
        self.is_mapped = stored and not on_gpu and (weights is Weights.INT8 or not _is_copied(name, tensor, tied=tied))
        # As it is stored or as it is used, whichever is more.
        self.while_loading = count * max(4 if tensor.kind == "F32" else 2, _float_bytes(weights))
        if tensor.kind not in _FLOATS:
            self.kept = count * _INTEGER_BYTES.get(tensor.kind, 1)
            self.while_loading = self.kept
        elif weights is Weights.INT8 and on_gpu and _is_linear(name, tensor) and not name.endswith(_HEAD):
            self.kept = count + rows * _GPU_SCALE_BYTES
            self.while_loading = 10 * count  # as stored, and copies in 16 and 32 bits
        elif weights is Weights.INT8 and not on_gpu and _is_int8_on_cpu(name, tensor, tied=tied):
            self.kept, self.is_mapped = count + rows * _CPU_SCALE_BYTES, False
            # Some rows twice in 32 bits, and the whole in 16 bits unless that is how it is stored.
            self.while_loading = (0 if stored else 2 * count) + 8 * min(rows, _BLOCK_ROWS) * count // rows
        else:
            self.kept = count * _float_bytes(weights)


def _is_linear(name: str, tensor: _Tensor) -> bool:
    matrix = len(tensor.shape) == 2  # noqa: PLR2004 - rows and columns
    return matrix and name.endswith(".weight") and not any(part in name for part in _NOT_LINEAR)


def _is_int8_on_cpu(name: str, tensor: _Tensor, *, tied: bool) -> bool:
    return _is_product(name, tensor, tied=tied) and tensor.shape[1] % _COLUMNS == 0


def _is_copied(name: str, tensor: _Tensor, *, tied: bool) -> bool:
    """Return whether a CPU packs it or joins it with others; see `transformers/projections.py`."""
    return "vision" not in name and _is_product(name, tensor, tied=tied)


def _is_product(name: str, tensor: _Tensor, *, tied: bool) -> bool:
    """Return whether a layer multiplies by it: a linear one, or the output layer that shares it with the embedding."""
    return _is_linear(name, tensor) or (tied and name.endswith("embed_tokens.weight"))


def _float_bytes(weights: Weights) -> int:
    return 4 if weights is Weights.FP32 else 2


def _row_bytes(tensors: Mapping[str, _Tensor], projection: str, weights: Weights) -> dict[int, int]:
    """Return the bytes that one token adds to the keys or values of each layer of the language model."""
    rows: dict[int, int] = {}
    for name, tensor in tensors.items():
        if name.endswith(f".{projection}.weight") and "vision" not in name:
            layer = next((int(part) for part in name.split(".") if part.isdigit()), 0)
            rows[layer] = tensor.shape[0] * _float_bytes(weights)
    return rows


def _layers_by_config(config: Mapping[str, Any], weights: Weights) -> list[int]:
    """Return the same from the configuration, for models that keep their projections in one tensor."""
    try:
        layers = int(config["num_hidden_layers"])
        heads = int(config.get("num_key_value_heads") or config["num_attention_heads"])
        size = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    except KeyError:
        return []
    return [2 * heads * size * _float_bytes(weights)] * layers


def _is_windowed(config: Mapping[str, Any], layer: int) -> bool:
    """Return whether a layer keeps only a window of the context; False where that is unknown."""
    if not config.get("sliding_window"):
        return False
    if types := config.get("layer_types"):
        return layer < len(types) and types[layer] == "sliding_attention"
    if config.get("model_type", "").startswith("gemma3"):
        return (layer + 1) % int(config.get("sliding_window_pattern") or _GEMMA_PATTERN) != 0
    return False


def _config(folder: Path) -> dict[str, Any]:
    """Return the part of the configuration that describes the language model."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    text = config.get("text_config")
    if not isinstance(text, dict):
        return config
    tied = {name: config[name] for name in ("tie_word_embeddings",) if name in config}
    return {"model_type": config.get("model_type", "")} | tied | text
