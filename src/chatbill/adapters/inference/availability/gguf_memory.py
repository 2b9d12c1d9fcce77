"""Compute the memory that llama.cpp needs for a model, from the header of its GGUF file."""

from __future__ import annotations

from pathlib import Path

from chatbill.adapters.inference.availability.memory import Need
from chatbill.adapters.inference.catalogue.model_spec import HubSource, ModelSpec, WheelSource
from chatbill.adapters.inference.weights.gguf_header import GgufHeader, read_header

_LIBRARY_BYTES = 150_000_000
"""A process of its own with Python, and the allocator beside the tensors."""

CHECKPOINTS = 2
"""Copies of its windows that llama.cpp keeps for each slot, so that a reply can be written anew."""

_READ_TOKENS = 512
"""Tokens of a prompt that are read in one step."""

_GEMMA_PATTERN = 6
"""One layer of this many sees the whole context in Gemma 3; its files do not say so."""

_CACHE_VALUE_BYTES = 2
_ESTIMATED_CACHE_BYTES_PER_WEIGHT = 3.3e-5


def need_of_gguf(spec: ModelSpec, file: Path | None) -> Need:
    """Return the need, from the header of a whole file or, without one, from the catalogue."""
    if file is None:
        return _estimated(spec)
    header = read_header(file)
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    vocabulary = embedding.shape[-1] if embedding else 0
    return Need(
        known=True,
        weights_bytes=file.stat().st_size - header.data_at,
        loading_bytes=_LIBRARY_BYTES,
        # The scores of the next token, for every token that is read in one step.
        working_bytes=_LIBRARY_BYTES + _READ_TOKENS * vocabulary * 4,
        reply_bytes=_cache_bytes(header, spec.context_tokens),
    )


def _estimated(spec: ModelSpec) -> Need:
    match spec.source:
        case WheelSource(download_bytes=size) | HubSource(download_bytes=size):
            weights = size
        case _:
            weights = 0
    return Need(
        known=False,
        weights_bytes=weights,
        loading_bytes=_LIBRARY_BYTES,
        working_bytes=2 * _LIBRARY_BYTES,
        reply_bytes=int(spec.parameters * _ESTIMATED_CACHE_BYTES_PER_WEIGHT) * min(spec.context_tokens, 2_048),
    )


def _cache_bytes(header: GgufHeader, context_tokens: int) -> int:
    """Return the keys and values of one reply that fills the context."""
    architecture = str(header.metadata.get("general.architecture", ""))

    def number(name: str, default: int = 0) -> int:
        value = header.metadata.get(f"{architecture}.{name}", default)
        return int(max(value) if isinstance(value, tuple) else value)

    heads = number("attention.head_count", 1)
    size = number("embedding_length") // max(1, heads)
    row = number("attention.key_length", size) + number("attention.value_length", size)
    layer_bytes = number("attention.head_count_kv", heads) * row * _CACHE_VALUE_BYTES
    layers, window = number("block_count"), number("attention.sliding_window")
    whole = layers if not window or not architecture.startswith("gemma3") else layers // _GEMMA_PATTERN
    windowed = min(context_tokens, (1 + CHECKPOINTS) * window + _READ_TOKENS)
    return layer_bytes * (whole * context_tokens + (layers - whole) * windowed)
