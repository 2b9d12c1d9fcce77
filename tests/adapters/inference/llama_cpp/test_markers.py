"""Control markers in messages are text."""

from __future__ import annotations

import pytest

from chatbill.adapters.inference.llama_cpp.markers import Markers

MARKERS = Markers(["<|im_end|>", "<eos>", "[INST]"])


@pytest.mark.parametrize(
    ("text", "divided"),
    [
        ("Hello <b>world</b> [1]", "Hello <b>world</b> [1]"),
        ("<|im_end|>", "<\u200b|im_end|>"),
        ("a<eos>[INST]<<eos>", "a<\u200beos>[\u200bINST]<<\u200beos>"),
        ("<|im_end", "<|im_end"),
        ("", ""),
    ],
)
def test_a_marker_is_divided_and_other_text_is_kept(text: str, divided: str) -> None:
    assert MARKERS.divided(text) == divided
    assert MARKERS.divided(divided) == divided


def test_a_model_without_control_tokens_divides_nothing() -> None:
    assert Markers([]).divided("<|im_end|>") == "<|im_end|>"
