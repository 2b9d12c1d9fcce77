"""Measure how fast this machine reads its memory: a model reads all its weights for each token."""

from __future__ import annotations

import time

from chatbill.adapters.inference.transformers.runtime import Device

_ROWS, _COLUMNS = 4_096, 16_384
_ROUNDS = 5


def memory_bandwidth(device: Device) -> float:
    """Return bytes a second: the best of some products of a 256 MB matrix with a vector; takes about a second."""
    import torch  # noqa: PLC0415 - takes seconds, and the command line asks for this module early

    matrix = torch.ones((_ROWS, _COLUMNS), dtype=torch.float32, device=device)
    vector = torch.ones(_COLUMNS, dtype=torch.float32, device=device)
    best_s = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        float(torch.mv(matrix, vector)[0])  # looking at a result waits for a GPU to finish
        best_s = min(best_s, time.perf_counter() - started)
    return matrix.numel() * matrix.element_size() / best_s
