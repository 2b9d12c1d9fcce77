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
    maker, chunks, read = ChunkBuilder(tuple(stops)), [], 0
    for token in tokens:
        read += 1
        chunks.append(maker.push(token))
        if maker.stopped:
            break
    chunks.append(maker.finish())

    whole = "".join(tokens)
    ends = [whole.index(stop) for stop in stops if stop and stop in whole]
    assert "".join(chunk.text for chunk in chunks if chunk) == whole[: min(ends, default=None)]
    assert sum(chunk.tokens for chunk in chunks if chunk) == read
    assert all(chunk.tokens >= 1 for chunk in chunks if chunk)


def test_no_part_of_a_stop_string_is_shown() -> None:
    maker = ChunkBuilder(("END",))
    shown = [maker.push(token) for token in ("one E", "N", "D two")]

    assert "".join(chunk.text for chunk in shown if chunk) == "one "
    assert maker.stopped


def test_without_stop_strings_each_token_is_a_chunk() -> None:
    maker = ChunkBuilder(())

    assert [chunk and chunk.text for chunk in (maker.push("a"), maker.push(""), maker.finish())] == ["a", "", None]


def test_a_token_that_completes_no_character_waits_for_the_one_that_does() -> None:
    maker = ChunkBuilder(())
    first, second = maker.push("", incomplete=True), maker.push("é")

    assert first is None
    assert second is not None
    assert (second.text, second.tokens) == ("é", 2)
