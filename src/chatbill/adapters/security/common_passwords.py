"""The passwords that many people use: 30,000 from leaked lists, which come with the package `zxcvbn`.

The name of the service is one more.
"""

from __future__ import annotations

from functools import cache

ENDING = "0123456789!?.,-_*#$@+ "
MAX_ENDING_CHARS = 4


def is_common(password: str) -> bool:
    """Return True for a password of the list, in any letter case, also with up to four digits or signs at its end."""
    known, text = _known(), password.casefold()
    word = text.rstrip(ENDING)
    return text in known or (len(text) - len(word) <= MAX_ENDING_CHARS and word in known)


@cache
def _known() -> frozenset[str]:
    # Takes 40 ms and 14 MB, which only a process pays that checks a new password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset({"chatbill", *FREQUENCY_LISTS["passwords"]})
