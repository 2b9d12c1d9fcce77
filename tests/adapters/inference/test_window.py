"""Which turns are kept when a conversation is too long."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.window import fit_window
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import TooLarge


def words(turns: Sequence[Turn]) -> list[str]:
    return [word for turn in turns for word in turn.text.split()]


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
        assert fit_window(turns, encode=words, budget=budget) == max(fitting, key=len)
    else:
        with pytest.raises(TooLarge):
            fit_window(turns, encode=words, budget=budget)


def test_the_cost_grows_with_the_window_and_not_with_the_conversation() -> None:
    read = 0

    def counting(turns: Sequence[Turn]) -> list[str]:
        nonlocal read
        read += len(turns)
        return words(turns)

    fit_window(conversation([10] * 10_001), encode=counting, budget=100)

    assert read < 200


def test_the_system_turn_is_kept_when_other_turns_are_left_out() -> None:
    turns = [Turn(Role.SYSTEM, "be brief"), *conversation([3, 3, 3])]
    assert fit_window(turns, encode=words, budget=5) == ["be", "brief", "2.0", "2.1", "2.2"]
    assert fit_window(turns, encode=words, budget=11) == words(turns)
    with pytest.raises(TooLarge):
        fit_window(turns, encode=words, budget=4)
