"""Which turns are kept when a conversation is too long."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.window import Window, fit_window
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ContextLengthExceeded


def words(turns: Sequence[Turn]) -> list[str]:
    return [word for turn in turns for word in turn.text.split()]


def room(tokens: int, *, trim: bool = True) -> Window:
    """A window in which a prompt may have so many tokens."""
    return Window(limit=tokens + 7, least=7, most=9, trim=trim)


def conversation(sizes: list[int]) -> list[Turn]:
    """Turns of so many words, alternating, the last one the person's."""
    roles = (Role.USER, Role.ASSISTANT)
    return [
        Turn(roles[(len(sizes) - 1 - place) % 2], " ".join(f"{place}.{word}" for word in range(size)))
        for place, size in enumerate(sizes)
    ]


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=30), budget=st.integers(0, 120))
def test_the_newest_turns_that_fit_and_begin_with_the_user_are_kept(sizes: list[int], budget: int) -> None:
    turns = conversation(sizes)
    possible = [words(turns[start:]) for start, turn in enumerate(turns) if turn.role is Role.USER]
    fitting = [end for end in possible if len(end) <= budget]

    if fitting:
        fitted = fit_window(turns, encode=words, window=room(budget))
        assert fitted.prompt == max(fitting, key=len)
        assert words(turns[fitted.dropped_turns :]) == fitted.prompt
        if words(turns) == fitted.prompt and turns[0].role is Role.USER:
            assert fit_window(turns, encode=words, window=room(budget, trim=False)) == fitted
    else:
        with pytest.raises(ContextLengthExceeded):
            fit_window(turns, encode=words, window=room(budget))


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=31), budget=st.integers(0, 120))
def test_without_trimming_a_conversation_is_read_whole_or_refused(sizes: list[int], budget: int) -> None:
    turns = conversation(sizes)[1 - len(sizes) % 2 :]
    if len(words(turns)) <= budget:
        fitted = fit_window(turns, encode=words, window=room(budget, trim=False))
        assert (fitted.prompt, fitted.dropped_turns) == (words(turns), 0)
    else:
        with pytest.raises(ContextLengthExceeded) as refused:
            fit_window(turns, encode=words, window=room(budget, trim=False))
        params = refused.value.description.params
        assert budget < int(params["tokens"] or 0) <= len(words(turns))
        assert (params["limit"], params["reply"], params["whole"]) == (budget + 7, 7, True)


def test_a_reply_takes_what_the_prompt_leaves_within_its_bounds() -> None:
    window = Window(limit=100, least=10, most=30)
    assert [window.reply_tokens(prompt) for prompt in (0, 70, 75, 90)] == [30, 30, 25, 10]


def test_the_cost_grows_with_the_window_and_not_with_the_conversation() -> None:
    read = 0

    def counting(turns: Sequence[Turn]) -> list[str]:
        nonlocal read
        read += len(turns)
        return words(turns)

    fit_window(conversation([10] * 10_001), encode=counting, window=room(100))
    with pytest.raises(ContextLengthExceeded):
        fit_window(conversation([10] * 10_001), encode=counting, window=room(100, trim=False))

    assert read < 300


def test_the_system_turn_is_kept_when_other_turns_are_left_out() -> None:
    turns = [Turn(Role.SYSTEM, "be brief"), *conversation([3, 3, 3])]
    short = fit_window(turns, encode=words, window=room(5))
    assert (short.prompt, short.dropped_turns) == (["be", "brief", "2.0", "2.1", "2.2"], 2)
    whole = fit_window(turns, encode=words, window=room(11))
    assert (whole.prompt, whole.dropped_turns) == (words(turns), 0)
    with pytest.raises(ContextLengthExceeded):
        fit_window(turns, encode=words, window=room(4))
