"""Text from tokens, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.transformers.detokenizer import Detokenizer


def decode(tokens: Sequence[int]) -> str:
    """A tokenizer whose tokens are bytes, as in a byte-level vocabulary."""
    return bytes(tokens).decode(errors="replace")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\N{REPLACEMENT CHARACTER}")))
def test_characters_are_never_split_and_the_parts_add_up(text: str) -> None:
    detokenizer = Detokenizer(decode)
    parts = [detokenizer.push(byte) for byte in text.encode()]

    assert "".join(parts) == text
    assert detokenizer.flush() == ""
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in parts)


@given(st.binary(max_size=40))
def test_invalid_bytes_are_replaced_after_a_short_wait(data: bytes) -> None:
    detokenizer = Detokenizer(decode)
    for byte in data:
        detokenizer.push(byte)
        assert len(detokenizer._waiting) < 8
    detokenizer.flush()
    assert not detokenizer.incomplete


def test_the_work_for_a_token_does_not_grow_with_the_reply() -> None:
    longest = 0

    def counting(tokens: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(tokens))
        return decode(tokens)

    detokenizer = Detokenizer(counting)
    for byte in b"a long reply " * 500:
        detokenizer.push(byte)

    assert longest <= 16
