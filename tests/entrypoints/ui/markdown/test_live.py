"""A reply that is being written, rendered piece by piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatbill.entrypoints.ui.markdown import LiveMarkdown, to_html
from chatbill.entrypoints.ui.markdown.live import MAX_OPEN_CHARS
from tests.kit.markdown import FORMULAS, assert_harmless, shown, texts

BLOCKS = (
    "# Title",
    "A paragraph with **bold** text\nand `<code>`.",
    "- one\n- two\n\n  more of two",
    "1. one\n\n   ```html\n   <div>\n\n   </div>\n   ```",
    "> quoted\n> more",
    "```python\nif x:\n\n    pass\n```",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "    indented\n\n    code",
    "---",
    "$$\nx\n$$",
)


@given(st.lists(st.sampled_from(BLOCKS), max_size=8), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_growing_text_becomes_the_same_as_the_whole_text(blocks: list[str], steps: list[int]) -> None:
    text, live, end = "\n\n".join(blocks), LiveMarkdown(pause=0), 0
    while end < len(text):
        end += steps[end % len(steps)]
        live.parts(text[:end])
    assert shown("".join(live.parts(text))) == shown(to_html(text))


@given(texts(*FORMULAS, max_size=30), st.integers(1, 30))
def test_no_part_makes_an_element_that_markdown_does_not_have(text: str, step: int) -> None:
    live = LiveMarkdown(pause=0)
    for end in range(0, len(text) + step, step):
        assert_harmless("".join(live.parts(text[:end])))


def test_only_the_last_part_changes() -> None:
    text = "\n\n".join(f"Paragraph **{number}** of a long reply, with a few words." for number in range(200))
    live, before = LiveMarkdown(pause=0), [""]
    for end in range(0, len(text), 50):
        parts = live.parts(text[:end])
        assert parts[: len(before) - 1] == before[:-1]
        before = parts
    assert len(before) > 5


def test_a_link_to_an_address_that_was_named_before_is_one() -> None:
    live, text = LiveMarkdown(pause=0), "[it]: https://example.org\n\nA paragraph.\n\nAnother\n"
    assert len(live.parts(text)) == 2
    assert 'href="https://example.org"' in live.parts(f"{text}\n[it]\n")[-1]


def test_a_line_that_is_not_complete_begins_no_block() -> None:
    live = LiveMarkdown(pause=0)
    live.parts("one\n#")
    (whole,) = live.parts("one\n#two")
    assert shown(whole) == shown(to_html("one\n#two"))


def test_a_long_block_is_shown_as_it_was_written_until_it_ends() -> None:
    item, live = "- an *item*\n", LiveMarkdown(pause=0)
    text = item * (MAX_OPEN_CHARS // len(item) + 10)
    assert "<ul>" in "".join(live.parts(item))
    assert shown("".join(live.parts(text))).words == text.split()
    assert shown("".join(live.parts(f"{text}{item}"))).words == f"{text}{item}".split()
    ended = f"{text}\n\nThat was all.\n\n" + "And more.\n" * 300
    assert shown("".join(live.parts(ended))) == shown(to_html(ended))


def test_an_expensive_text_is_not_rendered_again_at_once() -> None:
    live = LiveMarkdown(pause=1_000_000)
    first = live.parts("**one**")
    assert live.parts("**one** two") == first
