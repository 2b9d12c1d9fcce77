"""Compare the memory that a model needs with what is free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.weights.checkpoint import Checkpoint, read_checkpoint
from chatbill.domain.shared.descriptions import Description, Param

Where: TypeAlias = Literal["RAM", "GPU memory"]

_LIBRARY_BYTES = 300_000_000
"""Memory of the libraries and the allocator beside the tensors, as measured on small models."""

_PREFILL_TOKENS = {"RAM": 256, "GPU memory": 4_096}
"""Tokens of a prompt that are read in one step; see the model."""

_BYTES_PER_WEIGHT = {Weights.BF16: 2.0, Weights.FP32: 4.0, Weights.INT8: 1.01}
"""Before anything is fetched; int8 with its scales."""

_GPU_BYTES_PER_INT8_WEIGHT = 1.1
"""On a GPU the embedding stays in 16 bits: 8 percent more than a byte each in Gemma 3 12B."""

_CACHE_BYTES_PER_WEIGHT = 3.3e-5
"""Keys and values of one token for each weight, before anything is fetched; Gemma 3 has 2.7e-5 at 1B, 3.2e-5 at 12B."""

_ESTIMATED_CONTEXT_TOKENS = 2_048
"""Before its files are here it is unknown which layers keep only a window of the context, so most are assumed to: a
model that would fit must not be refused before it is fetched."""

_LEAST_CONTEXT_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The memory that a model needs, in bytes. `known` is False if it is only estimated from the catalogue.

    The extra memory for loading and the memory for replies are never needed at the same time, because loading ends
    before the first reply begins. `mapped_bytes` of the weights are pages of files: memory that is in use, and that the
    system nevertheless reports as free.
    """

    known: bool
    weights_bytes: int
    mapped_bytes: int = 0
    loading_bytes: int
    working_bytes: int
    reply_bytes: int
    """Keys and values of one reply that fills the context."""

    def total(self, slots: int) -> int:
        """Return the most it takes at any time, with this many replies written at once."""
        return self.weights_bytes + max(self.loading_bytes, self.running(slots))

    def running(self, slots: int) -> int:
        """Return the memory that replies need in addition to the weights."""
        return self.working_bytes + slots * self.reply_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The result of a check whether a model fits in memory: figures in bytes, and a description for people.

    `prefix_bytes` of what is left are for what was read in conversations; they are no part of `need_bytes`.
    `slots` is how many replies can be written at once: as many as were asked for, or fewer where only those fit;
    0 where the model does not fit.
    """

    need: Need
    slots: int
    need_bytes: int
    free_bytes: int
    description: Description
    prefix_bytes: int = 0

    @property
    def reserved_bytes(self) -> int:
        """Return the memory beside its weights that it may take at any time."""
        return self.need.running(self.slots) + self.prefix_bytes

    @property
    def fits(self) -> bool:
        """True when at least one reply at a time fits."""
        return self.slots > 0


def need_of(spec: ModelSpec, folder: Path | None, where: Where) -> Need:
    """Return the need, from the files of the checkpoint or, without them, from the catalogue's `parameters`."""
    checkpoint = read_checkpoint(folder, spec.weights, on_gpu=where != "RAM") if folder else None
    if checkpoint is None or not checkpoint.parameters:
        return _estimated(spec, where)
    return Need(
        known=True,
        weights_bytes=checkpoint.weights_bytes,
        mapped_bytes=checkpoint.mapped_bytes,
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
    prefix_bytes: int | None = None,
    without_others: bool = False,
) -> Fit:
    """Return whether a model fits into `free_bytes` of memory `where` it would run; see `fit_of`."""
    need = need_of(spec, folder, where)
    advice = partial(_advice, spec, folder, need, where, free_bytes)
    return fit_of(
        need,
        free_bytes=free_bytes,
        where=where,
        slots=slots,
        prefix_bytes=prefix_bytes,
        without_others=without_others,
        advice=advice,
    )


def fit_of(
    need: Need,
    *,
    free_bytes: int,
    where: Where = "RAM",
    slots: int = 1,
    prefix_bytes: int | None = 0,
    without_others: bool = False,
    advice: Callable[[], Mapping[str, Param]],
) -> Fit:
    """Return whether a model with this need fits into `free_bytes`, with up to `slots` replies at once.

    Where not all of them fit beside each other, the model runs with as many as do. What was read is kept in what is
    left: in up to `prefix_bytes`, or with None as much as the replies take and no more than half. `without_others` is
    True where the memory would be free only without other models. `advice` returns what would help a model that does
    not fit.
    """
    if not need.weights_bytes:
        unknown = Description("model_size_unknown")
        return Fit(need=need, slots=slots, need_bytes=0, free_bytes=free_bytes, description=unknown)
    possible = next((count for count in range(slots, 0, -1) if need.total(count) <= free_bytes), 0)
    need_bytes = need.total(possible or 1)
    params: dict[str, Param] = {
        "need_bytes": need_bytes,
        "known": need.known,
        "where": where,
        "weights_bytes": need.weights_bytes,
        "slots": possible or 1,
        "free_bytes": free_bytes,
        "without_others": without_others,
    }
    if not possible:
        params |= {"short_bytes": need_bytes - free_bytes, **advice()}
    elif possible < slots:
        params |= {"wanted_slots": slots, "wanted_bytes": need.total(slots)}
    left = max(0, free_bytes - need_bytes)
    keeps = min(possible * need.reply_bytes, left // 2) if prefix_bytes is None else min(prefix_bytes, left)
    told = Description("model_memory", {**params, "prefix_bytes": keeps})
    fit = Fit(need=need, slots=possible, need_bytes=need_bytes, free_bytes=free_bytes, description=told)
    return replace(fit, prefix_bytes=keeps)


def _estimated(spec: ModelSpec, where: Where) -> Need:
    context = min(spec.context_tokens, _ESTIMATED_CONTEXT_TOKENS)
    on_gpu = spec.weights is Weights.INT8 and where != "RAM"
    return Need(
        known=False,
        weights_bytes=int(
            spec.parameters * (_GPU_BYTES_PER_INT8_WEIGHT if on_gpu else _BYTES_PER_WEIGHT[spec.weights])
        ),
        loading_bytes=_LIBRARY_BYTES,
        working_bytes=2 * _LIBRARY_BYTES,
        reply_bytes=int(spec.parameters * _CACHE_BYTES_PER_WEIGHT) * context,
    )


def _working_bytes(checkpoint: Checkpoint, where: Where) -> int:
    """Return what one layer takes while a part of a prompt is read, and the scores of the next token."""
    layer = _PREFILL_TOKENS[where] * (8 * checkpoint.hidden_size + 4 * checkpoint.intermediate_size) * 2
    return _LIBRARY_BYTES + layer + 16 * checkpoint.vocabulary


def _advice(spec: ModelSpec, folder: Path | None, need: Need, where: Where, free_bytes: int) -> dict[str, Param]:
    """Return a shorter context with which the model would fit, or whether smaller weights may help."""
    checkpoint = read_checkpoint(folder, spec.weights, on_gpu=where != "RAM") if folder else None
    if checkpoint and need.weights_bytes + max(need.loading_bytes, need.working_bytes) < free_bytes:
        left = free_bytes - need.weights_bytes - need.working_bytes
        read_tokens = _PREFILL_TOKENS[where]
        context = spec.context_tokens
        while context > _LEAST_CONTEXT_TOKENS and checkpoint.cache_bytes(context, read_tokens=read_tokens) > left:
            context //= 2
        if checkpoint.cache_bytes(context, read_tokens=read_tokens) <= left:
            return {"context_tokens": context}
    return {"int8": spec.weights is not Weights.INT8}
