from __future__ import annotations

import pytest

from chatbill.domain.shared.errors import CapReached, InsufficientCredits
from chatbill.domain.shared.wording import credits_text


@pytest.mark.parametrize(("count", "words"), [(0, "0 credits"), (1, "1 credit"), (1_250, "1,250 credits")])
def test_credits_are_counted_in_words(count: int, words: str) -> None:
    assert credits_text(count) == words


def test_errors_speak_of_one_credit_as_people_do() -> None:
    assert str(InsufficientCredits(required=1, available=0)).startswith("This needs up to 1 credit and you have 0.")
    assert "up to 1 credit and" in str(CapReached(required=1, available=0, cap=20))
