"""Colours of code."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name

from chatbill.entrypoints.ui.markdown.highlighting import (
    CLASSES,
    LANGUAGES,
    MAX_CHARS,
    MAX_CPU_S,
    highlighted,
    stylesheet,
)
from tests.kit.markdown import shown

NAMES = sorted(LANGUAGES)
# Pieces that make lexers take the square of the length, or more, when they are repeated.
SPITEFUL = ("\n", "//", "a\n", "a.", "-", "1", " ", '"')


def cpu_of(piece: str, language: str) -> float:
    """Return the seconds of CPU that it takes to colour the longest code that repeats a piece."""
    started = time.thread_time()
    highlighted((piece * MAX_CHARS)[:MAX_CHARS], language)
    return time.thread_time() - started


@given(st.sampled_from(NAMES), st.text(max_size=60))
def test_code_is_the_same_with_and_without_colours(language: str, code: str) -> None:
    if html := highlighted(code.replace("\r", "\n"), language):
        assert shown(f"<pre>{html}</pre>").code == [code.replace("\r", "\n")]


def test_code_that_a_lexer_would_change_has_no_colours() -> None:
    assert highlighted("x = 1", "python")
    assert not highlighted("\ufeffx = 1", "python")


@pytest.mark.parametrize("language", sorted({get_lexer_by_name(name).aliases[0] for name in NAMES}))
def test_no_token_of_code_of_the_longest_size_takes_long(language: str) -> None:
    highlighted("warm up", language)
    for piece in SPITEFUL:
        # Garbage of other tests may be collected in one of them.
        assert any(cpu_of(piece, language) < 10 * MAX_CPU_S for _ in range(3)), piece


@pytest.mark.parametrize("language", ["", "brainfuck", "no such language", "python; rm -rf"])
def test_code_of_another_language_has_no_colours(language: str) -> None:
    assert not highlighted("if x:", language)
    assert not highlighted("x" * (MAX_CHARS + 1), "python")


def test_every_class_is_a_plain_name_and_both_colour_schemes_have_colours() -> None:
    assert all(name.isalnum() for name in CLASSES)
    assert ".cb-md pre .k {" in stylesheet()
    assert ':root[data-theme="dark"] .cb-md pre .k {' in stylesheet()
    assert "@media (prefers-color-scheme: dark)" in stylesheet()
    assert "url(" not in stylesheet()
