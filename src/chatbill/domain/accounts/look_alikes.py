"""Tells which usernames look like others: letters of other scripts, and names of staff.

The rule on scripts follows the level "highly restrictive" of Unicode Technical Standard 39, section 5.2.
"""

# ruff: noqa: RUF001 - the look-alikes are the data of this module

from __future__ import annotations

import re
import unicodedata
from itertools import product
from typing import Final

EAST_ASIAN: Final = frozenset({"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL"})
"""Scripts that are written together. Their letters look like no Latin ones, so Latin letters may stand beside them."""

STAFF: Final = (
    "abuse",
    "account",
    "admin",
    "administrator",
    "billing",
    "chatbill",
    "helpdesk",
    "hostmaster",
    "moderator",
    "noreply",
    "official",
    "operator",
    "payment",
    "postmaster",
    "root",
    "security",
    "staff",
    "support",
    "sysadmin",
    "system",
    "webmaster",
)

# Each alphabet maps a letter in lower case to the Latin letter that it resembles in either case. No alphabet has two
# letters for one Latin letter, so each can be read in both directions.
_CYRILLIC: Final = dict(zip("авсеԁһіјкӏморԛѕтѵԝху", "abcedhijklmopqstvwxy", strict=True))
_ALPHABETS: Final = (
    _CYRILLIC,
    {letter: latin for letter, latin in _CYRILLIC.items() if latin != "h"} | {"н": "h"},
    dict(zip("αβεικνορτυχγηω", "abeikvoptuxynw", strict=True)),
    dict(zip("αβεζηικμνορτυχ", "abezhikmnoptyx", strict=True)),
)
_TYPED_ALIKE: Final = {character: group for group in ("il1", "o0") for character in group}
_FREE_PLACES: Final = 4
"""Up to so many of these characters in a name, all its spellings are compared."""
_LATIN: Final = {"ı": "i", "ɑ": "a", "ɡ": "g"}
_DIGITS: Final = str.maketrans("013457l", "oieasti")
_SEPARATORS: Final = re.compile(r"[._-]+")


def mixes_scripts(name: str) -> bool:
    """Return whether the letters of a name come from scripts that are not written together."""
    scripts = {_script(character) for character in name if character.isalpha()}
    return len(scripts) > 1 and not (scripts & EAST_ASIAN and scripts <= EAST_ASIAN | {"LATIN"})


def look_alikes(key: str) -> frozenset[str]:
    """Return the keys of other usernames that look the same in Latin, Cyrillic or Greek letters, or with digits."""
    latin = {key, _translated(key, _LATIN)}
    for alphabet in _ALPHABETS:
        latin |= _respelt(key, alphabet)
    found = set(latin)
    for spelling in latin:
        for alphabet in _ALPHABETS:
            found |= _respelt(spelling, {letter: other for other, letter in alphabet.items()})
        found |= {spelling.replace(letter, other) for other, letter in _LATIN.items()}
    return frozenset((found | _typed_alike(key)) - {key})


def _typed_alike(key: str) -> set[str]:
    """Return the key with i, l and 1, or o and 0, in each other's place: "aIice" looks like "alice"."""
    places = [place for place, character in enumerate(key) if character in _TYPED_ALIKE]
    groups = [_TYPED_ALIKE[key[place]] for place in places]
    if len(places) <= _FREE_PLACES:
        choices = set(product(*groups))
    else:
        # Each alone, and all at once.
        now = [key[place] for place in places]
        choices = {(*now[:n], other, *now[n + 1 :]) for n, group in enumerate(groups) for other in group}
        choices |= {tuple(one if each in "il1" else nought for each in now) for one in "il1" for nought in "o0"}
    found = set()
    for chosen in choices:
        letters = list(key)
        for place, character in zip(places, chosen, strict=True):
            letters[place] = character
        found.add("".join(letters))
    return found | {key.replace("rn", "m"), key.replace("vv", "w")}


def is_staff_name(key: str) -> bool:
    """Return whether a username, or a part of it between separators, looks like a name of staff.

    Letters that resemble others, accents, digits in place of letters, a plural and a number at the end are ignored.
    """
    plain = "".join(
        character for character in unicodedata.normalize("NFKD", key) if not unicodedata.combining(character)
    )
    for alphabet in _ALPHABETS:
        latin = _translated(plain, alphabet | _LATIN)
        parts = {_SEPARATORS.sub("", latin), *_SEPARATORS.split(latin)}
        if any(_skeleton(part) in _STAFF or _skeleton(part.rstrip("0123456789")) in _STAFF for part in parts):
            return True
    return False


def _script(letter: str) -> str:
    """Return the script of a letter: by its name in Unicode, which begins with it."""
    return unicodedata.name(letter, "UNNAMED").partition(" ")[0].partition("-")[0]


def _respelt(key: str, alphabet: dict[str, str]) -> set[str]:
    """Return the key in the letters that an alphabet gives, if it has one for each letter of the key."""
    letters = [character for character in key if character.isalpha()]
    if not letters or not alphabet.keys() >= set(letters):
        return set()
    return {_translated(key, alphabet)}


def _translated(text: str, alphabet: dict[str, str]) -> str:
    return "".join(alphabet.get(character, character) for character in text)


def _skeleton(part: str) -> str:
    return part.replace("rn", "m").replace("vv", "w").translate(_DIGITS)


_STAFF: Final = frozenset(_skeleton(name + ending) for name in STAFF for ending in ("", "s"))
