"""Products with int8 weights, and the choice among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.inference.transformers.runtime import MeasuredProduct

torch: Any = pytest.importorskip("torch")

from chatbill.adapters.inference.transformers.int8 import choice  # noqa: E402 - they need torch
from chatbill.adapters.inference.transformers.int8.modules import quantized  # noqa: E402
from chatbill.adapters.inference.transformers.int8.products import PRODUCTS  # noqa: E402

SMALL = (256, 64)


def noise(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def right_here() -> list[str]:
    """The products that this processor computes correctly; some overflow where it has no VNNI."""
    weight, scales = quantized(noise(*SMALL))
    rows = noise(3, SMALL[1]).to(torch.bfloat16)
    return [name for name, product in PRODUCTS.items() if choice._is_right(product, rows, weight, scales)]


def test_the_products_that_need_no_special_processor_are_right() -> None:
    assert {"mixed", "unpacked", "unpacked_32"} <= set(right_here())


@pytest.mark.parametrize("name", right_here())
@pytest.mark.parametrize("rows", [1, 2, 9, 70])
def test_a_product_keeps_a_small_value_beside_an_outlier(name: str, rows: int) -> None:
    weight, scales = quantized(noise(700, 96))
    inputs = noise(rows, 96)
    inputs[:, 5] = 300.0
    inputs = inputs.to(torch.bfloat16)
    exact = inputs.double() @ (weight.double() * scales.double()[:, None]).t()
    output = PRODUCTS[name](inputs, weight, scales).double()

    assert output.shape == (rows, 700)
    assert (output - exact).norm() < 0.005 * exact.norm()
    rest = inputs.double().clone()
    rest[:, 5] = 0
    without_outlier = rest @ (weight.double() * scales.double()[:, None]).t()
    # 300 / 127 would be a step of 2.4, which loses values around 1 altogether.
    assert (output - exact).norm() < 0.4 * without_outlier.norm()


@pytest.mark.parametrize("name", right_here())
def test_a_broken_row_is_not_made_to_look_sound(name: str) -> None:
    weight, scales = quantized(noise(*SMALL))
    inputs = noise(2, SMALL[1]).to(torch.bfloat16)
    inputs[0, 3] = float("nan")
    inputs[1] = 0
    output = PRODUCTS[name](inputs, weight, scales)

    assert output[0].isnan().all()
    assert (output[1] == 0).all()


def test_a_weight_is_kept_within_half_a_step_of_its_row() -> None:
    weight = noise(5_000, 32) * torch.logspace(-6, 3, 5_000)[:, None]
    integers, scales = quantized(weight)
    restored = integers.float() * scales.float()[:, None]

    # The scale has 8 bits, so the largest value of a row may be off by a little more than half a step.
    assert ((restored - weight).abs() <= 1.01 * scales.float()[:, None]).all()
    assert ((restored - weight).abs() <= 0.51 * scales.float()[:, None]).float().mean() > 0.98
    assert (quantized(torch.zeros(3, 32))[0] == 0).all()


def test_the_fastest_right_product_is_chosen_for_each_number_of_rows() -> None:
    def wrong(rows: Any, weight: Any, scales: Any) -> Any:
        return torch.zeros(rows.shape[0], weight.shape[0], dtype=rows.dtype)

    def refused(rows: Any, weight: Any, scales: Any) -> Any:
        raise RuntimeError("not on this processor")

    def slow(rows: Any, weight: Any, scales: Any) -> Any:
        for _ in range(50):
            PRODUCTS["unpacked"](rows, weight, scales)
        return PRODUCTS["unpacked"](rows, weight, scales)

    products = {"wrong": wrong, "refused": refused, "slow": slow, "good": PRODUCTS["unpacked"]}
    measured = list(choice.measure_products(products=products, rows=(1, 8), shape=SMALL))

    assert [(one.rows, one.product) for one in measured] == [(1, "good"), (8, "good")]
    assert all(one.weights_per_s > 0 for one in measured)


def test_more_rows_than_were_measured_are_multiplied_as_the_most() -> None:
    measured = [MeasuredProduct(rows, product, 1.0) for rows, product in ((1, "mixed"), (8, "split"), (64, "unpacked"))]
    choose = choice.by_rows(measured)

    chosen = [next(name for name, product in PRODUCTS.items() if product is choose(rows)) for rows in (1, 2, 8, 9, 900)]
    assert chosen == ["mixed", "split", "split", "unpacked", "unpacked"]


def test_what_was_measured_is_remembered_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []

    def measure() -> list[MeasuredProduct]:
        times.append(1)
        return [MeasuredProduct(1, "mixed", 20e9), MeasuredProduct(128, "unpacked", 1e9)]

    monkeypatch.setattr(choice, "measure_products", measure)
    first = choice.remembered_products(tmp_path)
    known = json.loads((tmp_path / choice.FILE).read_text())
    (tmp_path / choice.FILE).write_text(json.dumps({**known, "another machine": []}))

    assert choice.remembered_products(tmp_path) == first
    assert (len(times), len(known)) == (1, 1)
    assert f"torch {torch.__version__}" in next(iter(known))


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"%s": [{"rows": 1, "product": "gone", "weights_per_s": 1}]}'])
def test_a_file_that_cannot_be_used_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(choice, "measure_products", lambda: [MeasuredProduct(1, "mixed", 20e9)])
    (tmp_path / choice.FILE).write_text(text.replace("%s", choice._machine()))

    assert choice.remembered_products(tmp_path) == (MeasuredProduct(1, "mixed", 20e9),)
    assert json.loads((tmp_path / choice.FILE).read_text())[choice._machine()][0]["product"] == "mixed"


def test_a_folder_that_cannot_be_written_only_means_to_measure_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "measure_products", lambda: [MeasuredProduct(1, "mixed", 20e9)])

    assert choice.remembered_products(tmp_path / "missing") == (MeasuredProduct(1, "mixed", 20e9),)
