"""Choose the fastest int8 product for each number of rows, by a measurement that is remembered on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
import torch

from chatbill.adapters.inference.transformers.int8.processor import processor_flags, processor_name
from chatbill.adapters.inference.transformers.int8.products import PRODUCTS, Product, ProductsByRows
from chatbill.adapters.inference.transformers.runtime import MeasuredProduct

FILE = "int8-products.json"

ROWS = (1, 4, 8, 32, 128)
"""Replies of a batch have one row each; parts of prompts have up to 256."""

_WEIGHT_ROWS, _COLUMNS = 15_360, 3_840
"""A layer of Gemma 3 12B, 59 MB: more than the caches of most processors hold."""

_ROUNDS = 3
_HOPELESS = 20
"""A product that was so many times slower than the best for a few rows is not tried with more."""

_CHECKED_ROWS = 256
_MOST_ERROR = 0.02
"""The products are right to about 0.003. Kernels whose sums overflow are wrong by 0.1."""

_log = structlog.get_logger(__name__)


def remembered_products(folder: Path) -> Sequence[MeasuredProduct]:
    """Return what was measured on this machine, from the file in `folder`; measure and write it where it is not there.

    A processor, a version of torch or a number of threads that is not in the file is measured anew, in some seconds.
    """
    file, key = folder / FILE, _machine()
    known = _read(file)
    try:
        return tuple(_checked(MeasuredProduct(**entry)) for entry in known[key])
    except (KeyError, TypeError, ValueError):
        measured = tuple(measure_products())
    try:
        part = file.with_suffix(".part")
        part.write_text(json.dumps(known | {key: [asdict(one) for one in measured]}, indent=1), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        _log.warning("int8_products_not_remembered", folder=str(folder), error=str(error))
    return measured


def by_rows(measured: Sequence[MeasuredProduct]) -> ProductsByRows:
    """Return the choice among them: for a number of rows, what was fastest for so many or for the next more."""
    *steps, (_, last) = [(one.rows, PRODUCTS[one.product]) for one in measured]

    def choose(rows: int) -> Product:
        for limit, product in steps:
            if rows <= limit:
                return product
        return last

    return choose


@torch.inference_mode()
def measure_products(
    *,
    products: dict[str, Product] = PRODUCTS,
    rows: Iterable[int] = ROWS,
    shape: tuple[int, int] = (_WEIGHT_ROWS, _COLUMNS),
) -> Iterator[MeasuredProduct]:
    """Yield the fastest of the products that are right, for each number of rows; takes some seconds."""
    noise = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, shape, dtype=torch.int8, generator=noise)
    scales = torch.full(shape[:1], 0.01, dtype=torch.bfloat16)
    candidates = dict(products)
    for count in rows:
        inputs = torch.randn(count, shape[1], generator=noise).to(torch.bfloat16)
        inputs[:, 0] = 50  # an outlier
        right = {name: product for name, product in candidates.items() if _is_right(product, inputs, weight, scales)}
        times = _best_times(right, inputs, weight, scales)
        fastest = min(times, key=lambda name: times[name])
        candidates = {name: products[name] for name, took_s in times.items() if took_s < _HOPELESS * times[fastest]}
        yield MeasuredProduct(count, fastest, weight.nbytes / times[fastest])


def _is_right(product: Product, inputs: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> bool:
    expected = inputs.float() @ weight[:_CHECKED_ROWS].float().t() * scales[:_CHECKED_ROWS]
    try:
        output = product(inputs, weight, scales)[:, :_CHECKED_ROWS].float()
    except RuntimeError:
        return False  # not on this processor
    return bool((output - expected).norm() < _MOST_ERROR * expected.norm())


def _best_times(
    products: dict[str, Product], inputs: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor
) -> dict[str, float]:
    """Return seconds. They take turns, so that other work on this machine slows down all of them."""
    best = dict.fromkeys(products, float("inf"))
    for _ in range(_ROUNDS):
        for name, product in products.items():
            started = time.perf_counter()
            product(inputs, weight, scales)
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _machine() -> str:
    """Return all on which the fastest product depends."""
    flags = hashlib.sha256(processor_flags().encode()).hexdigest()[:8]
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{processor_name()} ({flags}), torch {torch.__version__} {capability}, {threads} threads"


def _checked(one: MeasuredProduct) -> MeasuredProduct:
    if one.product not in PRODUCTS or not isinstance(one.rows, int):
        raise ValueError(one.product)
    return one


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
