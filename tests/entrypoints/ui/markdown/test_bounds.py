"""Texts that are too large or expensive for Markdown, and faults of its libraries: the text is shown all the same."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import pytest
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from chatbill.entrypoints.ui.markdown import LiveMarkdown, literal, live, to_html
from chatbill.entrypoints.ui.markdown.formulas import formula_html
from chatbill.entrypoints.ui.markdown.parser import MAX_BRACKETS, MAX_CELLS, MAX_INLINE_CHARS
from chatbill.entrypoints.ui.markdown.pipeline import MAX_CHARS
from tests.kit.markdown import shown


def test_a_text_that_is_longer_than_the_bound_is_shown_as_it_was_written() -> None:
    paragraph = "**a**\n\n"
    text = paragraph * (MAX_CHARS // len(paragraph))
    assert "<strong>" in to_html(text)
    assert to_html(f"{text}{paragraph}") == literal(f"{text}{paragraph}")


def test_a_paragraph_with_many_brackets_is_shown_as_it_was_written() -> None:
    link = "[a](//b.c)"
    assert to_html(link * MAX_BRACKETS).count("<a ") == MAX_BRACKETS
    assert len(link) * (MAX_BRACKETS + 1) < MAX_INLINE_CHARS
    assert to_html(link * (MAX_BRACKETS + 1)) == f"<p>\n{link * (MAX_BRACKETS + 1)}</p>\n"


def test_a_long_paragraph_is_escaped_as_any_other() -> None:
    text = "<b>x</b>&lt; \n" * MAX_INLINE_CHARS
    assert shown(to_html(text)).words == text.split()


def test_a_full_table_has_a_bounded_number_of_cells() -> None:
    rows = MAX_CELLS // 4 - 2  # without the head and the line below it
    table = "a|b|c|d\n-|-|-|-\n" + "b|b|b|b\n" * rows
    assert to_html(table).count("<td>") == 4 * rows
    assert "<table>" not in to_html(f"{table}b|b|b|b\n")


def test_each_line_is_looked_at_a_few_times_however_many_tables_could_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, is_empty = Counter[int](), StateBlock.isEmpty

    def counted(state: StateBlock, line: int) -> bool:
        looks[line] += 1
        return is_empty(state, line)

    monkeypatch.setattr(StateBlock, "isEmpty", counted)
    lines = MAX_CELLS // 2 + 100
    to_html("a|b\n-|-\n" * (lines // 2))
    assert looks.total() < 20 * lines


def test_beginnings_of_formulas_without_an_end_cost_no_more_than_other_lines() -> None:
    cpu_of("warm up\n")
    formulas, others = cpu_of("\\[a\n" * 40_000), cpu_of("\\a\n" * 40_000)
    assert formulas < 6 * others


def cpu_of(text: str) -> float:
    """Return the seconds of CPU that it takes to render a text."""
    started = time.thread_time()
    to_html(text)
    return time.thread_time() - started


def test_attributes_that_move_or_size_a_part_are_not_written_into_a_formula() -> None:
    token = Token("formula_block", "", 0, content=r"\rule{200em}{80em} \color{red}{y}", markup="$$")
    drawn = formula_html(token).split("<annotation", maxsplit=1)[0]
    assert "<mi>y</mi>" in drawn
    assert "200em" not in drawn
    assert "red" not in drawn


@pytest.mark.parametrize("source", [r"\left( x", "x^", r"\frac{" * 300, "{" * 900])
def test_a_formula_that_is_not_understood_leaves_the_rest_as_markdown(source: str) -> None:
    assert "<strong>b</strong>" in to_html(f"**b** $$a{source}$$")


@pytest.mark.parametrize("fault", [RuntimeError, ValueError, RecursionError])
def test_a_fault_of_a_library_hides_no_reply(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> str:
        raise fault("what a person wrote")

    monkeypatch.setattr("chatbill.entrypoints.ui.markdown.parser._Renderer.text", fail)
    monkeypatch.setattr("chatbill.entrypoints.ui.markdown.live._PARSER.renderer.rules", {"text": fail})
    monkeypatch.setattr("chatbill.entrypoints.ui.markdown.pipeline._PARSER.renderer.rules", {"text": fail})
    caplog.set_level(logging.ERROR)
    text = f"<b>{fault.__name__}</b> of a library"
    assert to_html(text) == literal(text)
    assert LiveMarkdown(pause=0).parts(text) == [literal(text)]
    assert [record.message for record in caplog.records] == ["text_not_rendered"] * 2


def test_the_description_of_an_image_makes_no_element_and_the_image_shows_its_address() -> None:
    html = to_html("![a <b> &lt;i>](https://x.example/cat.png)")
    assert ' title="https://x.example/cat.png"' in html
    assert ">a &lt;b&gt; &lt;i&gt;</a>" in html


def test_a_nul_is_shown_as_the_sign_for_an_unknown_character() -> None:
    assert literal("a\0b") == '<div class="cb-said">a\ufffdb</div>'


def test_a_long_open_block_is_parsed_again_only_when_it_has_grown_by_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = live._PARSER.parse

    def noted(text: str, env: dict[str, Any]) -> list[Token]:
        parsed.append(text)
        return parse(text, env)

    monkeypatch.setattr(live._PARSER, "parse", noted)
    growing, text = LiveMarkdown(pause=0), "- an *item*\n" * (live.MAX_OPEN_CHARS // 10)
    for end in range(len(text) - 100, len(text)):
        growing.parts(text[:end])
    assert len(parsed) == 1
