"""What a model keeps of what it has read: by owner, within a limit, and for a limited time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.transformers.prefix_cache import PrefixCache, common_length
from chatbill.domain.shared.ids import UserId

ANNA, BEN, CARA = UserId("anna"), UserId("ben"), UserId("cara")
TOKENS = st.lists(st.integers(0, 2), max_size=200)


@dataclass
class FakeKeys:
    """A byte a token; `reaches_from` is the first place to which it can be cut."""

    size_bytes: int
    reaches_from: int = 0

    def reaches(self, length: int) -> bool:
        return self.reaches_from <= length


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def prefixes(clock: Clock) -> PrefixCache[FakeKeys]:
    cache: PrefixCache[FakeKeys] = PrefixCache(clock=clock)
    cache.limit(100, ttl_s=60)
    return cache


def keep(prefixes: PrefixCache[FakeKeys], owner: UserId, tokens: list[int], *, reaches_from: int = 0) -> FakeKeys:
    keys = FakeKeys(len(tokens), reaches_from)
    prefixes.keep(owner, tokens, keys)
    return keys


def test_the_next_turn_finds_all_that_was_read(prefixes: PrefixCache[FakeKeys]) -> None:
    keys = keep(prefixes, ANNA, [1, 2, 3])

    assert prefixes.longest(ANNA, [1, 2, 3, 4, 5]) == (3, keys)


def test_a_changed_message_finds_the_common_beginning(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1, 9, 9, 9])
    keys = keep(prefixes, ANNA, [1, 2, 3, 4])

    assert prefixes.longest(ANNA, [1, 2, 5, 6]) == (2, keys)


def test_no_owner_gets_what_was_read_for_another(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1, 2, 3])

    assert prefixes.longest(BEN, [1, 2, 3]) == (0, None)


def test_a_request_without_an_owner_gets_nothing(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1, 2, 3])

    assert prefixes.longest(None, [1, 2, 3]) == (0, None)


def test_a_turn_takes_the_place_of_the_one_before(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 30)
    keep(prefixes, ANNA, [1] * 40)

    assert prefixes.size_bytes == 40


def test_where_a_window_has_moved_on_the_turn_before_is_used(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 10, reaches_from=8)
    before = keep(prefixes, ANNA, [1] * 20, reaches_from=18)
    keep(prefixes, ANNA, [1] * 30, reaches_from=28)

    assert prefixes.longest(ANNA, [1] * 20 + [2] * 20) == (20, before)
    assert prefixes.longest(ANNA, [1] * 15 + [2] * 20) == (0, None)
    assert prefixes.size_bytes == 50


def test_what_can_be_had_from_a_longer_one_is_not_kept_twice(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 40)
    keep(prefixes, ANNA, [1] * 30)

    assert prefixes.size_bytes == 40


def test_the_least_recently_used_leaves_first(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 20)
    keep(prefixes, BEN, [2] * 20)
    keep(prefixes, CARA, [3] * 20)
    prefixes.longest(ANNA, [1] * 5)
    keep(prefixes, UserId("dora"), [4] * 50)

    assert prefixes.longest(BEN, [2] * 20)[0] == 0
    assert prefixes.longest(ANNA, [1] * 20)[0] == 20
    assert prefixes.size_bytes == 90


def test_one_person_cannot_push_out_the_others(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, BEN, [1] * 20)
    for conversation in range(2, 20):
        keep(prefixes, ANNA, [conversation] * 20)

    assert prefixes.longest(BEN, [1] * 20)[0] == 20
    assert prefixes.size_bytes <= 100


def test_one_person_alone_may_use_all_of_it(prefixes: PrefixCache[FakeKeys]) -> None:
    for conversation in range(5):
        keep(prefixes, ANNA, [conversation] * 20)

    assert prefixes.size_bytes == 100


def test_what_is_larger_than_the_limit_pushes_out_nothing(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, BEN, [1] * 20)
    keep(prefixes, ANNA, [2] * 101)

    assert prefixes.size_bytes == 20


def test_what_was_not_used_for_long_is_dropped(prefixes: PrefixCache[FakeKeys], clock: Clock) -> None:
    keep(prefixes, ANNA, [1] * 20)
    keep(prefixes, BEN, [1] * 20)
    clock.now += 40
    prefixes.longest(ANNA, [1] * 20)
    clock.now += 40
    prefixes.drop_expired()

    assert prefixes.size_bytes == 20
    assert prefixes.longest(ANNA, [1] * 20)[0] == 20


def test_a_lower_limit_holds_at_once_and_afterwards(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 20)
    prefixes.limit(0)
    keep(prefixes, ANNA, [1] * 20)

    assert prefixes.size_bytes == 0


def test_clearing_says_whether_anything_was_freed(prefixes: PrefixCache[FakeKeys]) -> None:
    keep(prefixes, ANNA, [1] * 20)

    assert [prefixes.clear(), prefixes.clear()] == [True, False]
    assert prefixes.size_bytes == 0


@given(one=TOKENS, other=TOKENS, both=TOKENS)
def test_the_common_length_is_that_of_a_plain_comparison(one: list[int], other: list[int], both: list[int]) -> None:
    one, other = both + one, both + other
    pairs = enumerate(zip(one, other, strict=False))
    expected = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))

    assert common_length(one, tuple(other)) == expected


@given(st.lists(st.tuples(st.sampled_from([ANNA, BEN, CARA]), TOKENS, st.integers(0, 200)), max_size=30))
def test_the_limit_always_holds(steps: list[tuple[UserId, list[int], int]]) -> None:
    prefixes: PrefixCache[FakeKeys] = PrefixCache()
    prefixes.limit(300, ttl_s=60)
    for owner, tokens, reaches_from in steps:
        keep(prefixes, owner, tokens, reaches_from=reaches_from)
        length, keys = prefixes.longest(owner, tokens)
        assert prefixes.size_bytes <= 300
        assert keys is None or keys.reaches(length)
