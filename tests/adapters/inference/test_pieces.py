"""Stop strings and token counts, on any way to cut a text into tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.chunks import ChunkBuilder

texts = st.text(alphabet="ab ", max_size=6)


@given(tokens=st.lists(texts, max_size=12), stops=st.lists(texts, max_size=3))
def test_the_text_ends_before_the_first_stop_string_and_every_token_counts_once(
    tokens: list[str], stops: list[str]
) -> None:
    maker, pieces, read = ChunkBuilder(tuple(stops)), [], 0
    for token in tokens:
        read += 1
        pieces.append(maker.push(token))
        if maker.stopped:
            break
    pieces.append(maker.finish())

    whole = "".join(tokens)
    ends = [whole.index(stop) for stop in stops if stop and stop in whole]
    assert "".join(piece.text for piece in pieces if piece) == whole[: min(ends, default=None)]
    assert sum(piece.tokens for piece in pieces if piece) == read
    assert all(piece.tokens >= 1 for piece in pieces if piece)


def test_no_part_of_a_stop_string_is_shown() -> None:
    maker = ChunkBuilder(("END",))
    shown = [maker.push(token) for token in ("one E", "N", "D two")]

    assert "".join(piece.text for piece in shown if piece) == "one "
    assert maker.stopped


def test_without_stop_strings_each_token_is_a_piece() -> None:
    maker = ChunkBuilder(())

    assert [piece and piece.text for piece in (maker.push("a"), maker.push(""), maker.finish())] == ["a", "", None]


def test_a_token_that_completes_no_character_waits_for_the_one_that_does() -> None:
    maker = ChunkBuilder(())
    first, second = maker.push("", incomplete=True), maker.push("é")

    assert first is None
    assert second is not None
    assert (second.text, second.tokens) == ("é", 2)
