"""How much memory a model needs, held against what is free, in figures and in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.weights.checkpoint import Checkpoint, read_checkpoint

Where: TypeAlias = Literal["RAM", "GPU memory"]

_LIBRARY_BYTES = 300_000_000
"""What the libraries and the allocator take beside the tensors, as measured on small models."""

_PREFILL_TOKENS = {"RAM": 256, "GPU memory": 4_096}
"""Tokens of a prompt that are read in one go; see the model."""

_BYTES_PER_WEIGHT = {Weights.BF16: 2.0, Weights.FP32: 4.0, Weights.INT8: 1.1}
"""Before anything is fetched. INT8 keeps the embedding in 16 bits: 8 percent more than a byte each in Gemma 3 12B."""

_CACHE_BYTES_PER_WEIGHT = 3.3e-5
"""Keys and values of one token for each weight, before anything is fetched; Gemma 3 has 2.7e-5 at 1B, 3.2e-5 at 12B."""

_FORETOLD_CONTEXT_TOKENS = 2_048
"""Before its files are here it is not known which layers keep only a window of the context, so most are taken to: a
model must not be refused, before it is fetched, that would fit."""

_LEAST_CONTEXT_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a model takes, in bytes. `known` is False where it is only foretold from the catalogue.

    Loading is over before the first reply is written, so what it takes on top of the weights and what replies take are
    never needed both.
    """

    known: bool
    weights_bytes: int
    loading_bytes: int
    working_bytes: int
    reply_bytes: int
    """Keys and values of one reply that fills the context."""

    def total(self, slots: int) -> int:
        """The most it takes at any time, with so many replies written at once."""
        return self.weights_bytes + max(self.loading_bytes, self.running(slots))

    def running(self, slots: int) -> int:
        """What replies take, beside the weights."""
        return self.working_bytes + slots * self.reply_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a model fits in memory, with the figures in bytes and a sentence for people.

    `slots` is how many replies can be written at once: as many as were asked for, or fewer where only those fit;
    0 where the model does not fit.
    """

    need: Need
    slots: int
    need_bytes: int
    free_bytes: int
    words: str

    @property
    def fits(self) -> bool:
        """True when at least one reply at a time fits."""
        return self.slots > 0


def need_of(spec: ModelSpec, folder: Path | None, where: Where) -> Need:
    """From the checkpoint's own files when they are there, and from the catalogue's `parameters` when not."""
    checkpoint = read_checkpoint(folder, spec.weights) if folder else None
    if checkpoint is None or not checkpoint.parameters:
        return _foretold(spec)
    return Need(
        known=True,
        weights_bytes=checkpoint.weights_bytes,
        loading_bytes=checkpoint.largest_bytes + _LIBRARY_BYTES,
        working_bytes=_working_bytes(checkpoint, where),
        reply_bytes=checkpoint.cache_bytes(spec.context_tokens, read_tokens=_PREFILL_TOKENS[where]),
    )


def fit(
    spec: ModelSpec,
    *,
    folder: Path | None,
    free_bytes: int,
    where: Where,
    slots: int = 1,
    free_words: str = "are free",
) -> Fit:
    """Hold the need of a model against `free_bytes` of memory `where` it would run, with up to `slots` replies at once.

    Where not all of them fit beside each other, the model runs with as many as do. `free_words` say of what is free in
    which sense it is.
    """
    need = need_of(spec, folder, where)
    if not need.weights_bytes:
        words = "its size is not known before it is fetched"
        return Fit(need=need, slots=slots, need_bytes=0, free_bytes=free_bytes, words=words)
    possible = slots
    while possible and need.total(possible) > free_bytes:
        possible -= 1
    words = f"{_figures(need, possible or 1, where)} and {_gigabytes(free_bytes)} {free_words}"
    if not possible:
        words += f"; {_help(spec, folder, need, where, free_bytes)}"
    elif possible < slots:
        words += f"; {slots} replies at once would take {_gigabytes(need.total(slots))}, so it writes {possible}"
    return Fit(need=need, slots=possible, need_bytes=need.total(possible or 1), free_bytes=free_bytes, words=words)


def _foretold(spec: ModelSpec) -> Need:
    return Need(
        known=False,
        weights_bytes=int(spec.parameters * _BYTES_PER_WEIGHT[spec.weights]),
        loading_bytes=_LIBRARY_BYTES,
        working_bytes=2 * _LIBRARY_BYTES,
        reply_bytes=int(spec.parameters * _CACHE_BYTES_PER_WEIGHT) * min(spec.context_tokens, _FORETOLD_CONTEXT_TOKENS),
    )


def _working_bytes(checkpoint: Checkpoint, where: Where) -> int:
    """What reading a part of a prompt takes for a moment in one layer, and the scores of the next token."""
    layer = _PREFILL_TOKENS[where] * (8 * checkpoint.hidden_size + 4 * checkpoint.intermediate_size) * 2
    return _LIBRARY_BYTES + layer + 16 * checkpoint.vocabulary


def _figures(need: Need, slots: int, where: Where) -> str:
    about = "" if need.known else "about "
    at_once = "1 reply" if slots == 1 else f"{slots} replies at once"
    return (
        f"needs {about}{_gigabytes(need.total(slots))} of {where} ({_gigabytes(need.weights_bytes)} for its weights, "
        f"{_gigabytes(need.total(slots) - need.weights_bytes)} to load it and write {at_once})"
    )


def _help(spec: ModelSpec, folder: Path | None, need: Need, where: Where, free_bytes: int) -> str:
    """What would make it fit."""
    missing = f"free {_gigabytes(need.total(1) - free_bytes)} more"
    checkpoint = read_checkpoint(folder, spec.weights) if folder else None
    if checkpoint and need.weights_bytes + max(need.loading_bytes, need.working_bytes) < free_bytes:
        left = free_bytes - need.weights_bytes - need.working_bytes
        read_tokens = _PREFILL_TOKENS[where]
        context = spec.context_tokens
        while context > _LEAST_CONTEXT_TOKENS and checkpoint.cache_bytes(context, read_tokens=read_tokens) > left:
            context //= 2
        if checkpoint.cache_bytes(context, read_tokens=read_tokens) <= left:
            return f"{missing}, or set context_tokens to {context} in the catalogue, with which it would fit"
    smaller = ", load it in int8" if spec.weights is not Weights.INT8 else ""
    return f"{missing}{smaller}, or choose a smaller model"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
