"""What every adapter of the tokens port promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.security.tokens import JwtTokens
from chatbill.application.ports.tokens import Claims, Tokens, TokenUse
from chatbill.domain.shared.errors import TokenExpired, Unauthenticated
from chatbill.domain.shared.ids import SessionId, UserId
from chatbill.testing import PlainTokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADAPTERS: dict[str, Tokens] = {"jwt": JwtTokens(b"k" * 32), "plain": PlainTokens()}

ids = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
moments = st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
adapters = pytest.mark.parametrize("tokens", ADAPTERS.values(), ids=ADAPTERS.keys())


def claims(*, life: timedelta = timedelta(hours=1)) -> Claims:
    return Claims(user_id=UserId("u1"), session_id=SessionId("s1"), expires_at=NOW + life)


@adapters
@given(user=ids, session=ids, now=moments, life=st.timedeltas(timedelta(microseconds=10), timedelta(days=30)))
def test_what_was_signed_is_read_back(tokens: Tokens, user: str, session: str, now: datetime, life: timedelta) -> None:
    for use in TokenUse:
        said = Claims(user_id=UserId(user), session_id=SessionId(session), expires_at=now + life, use=use)
        assert tokens.read(tokens.sign(said, now=now), now=now) == said


@adapters
@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(days=365)])
def test_a_token_is_good_until_it_expires_and_not_then(tokens: Tokens, late: timedelta) -> None:
    token = tokens.sign(claims(), now=NOW)
    assert tokens.read(token, now=NOW + timedelta(minutes=59, seconds=59, milliseconds=999)) == claims()
    with pytest.raises(TokenExpired):
        tokens.read(token, now=NOW + timedelta(hours=1) + late)


@adapters
@pytest.mark.parametrize(
    "junk", ["", ".", "..", "...", "a.b.c", " ", "\0", "é.é.é", "\ud800", "null", "{}", "a" * 1_000_000]
)
def test_junk_is_refused(tokens: Tokens, junk: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(junk, now=NOW)


@adapters
@given(data=st.data())
def test_a_changed_token_is_refused(tokens: Tokens, data: st.DataObject) -> None:
    token = tokens.sign(claims(), now=NOW)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))
    with pytest.raises(Unauthenticated):
        tokens.read(token[:place] + other + token[place + 1 :], now=NOW)


@adapters
def test_another_spelling_of_a_token_is_refused(tokens: Tokens) -> None:
    token = tokens.sign(claims(), now=NOW)
    for forged in (token.swapcase(), token.upper(), f" {token}", f"{token}\n", f"{token}=", token.replace(".", " .")):
        with pytest.raises(Unauthenticated):
            tokens.read(forged, now=NOW)


@adapters
@given(data=st.data())
def test_a_shortened_or_lengthened_token_is_refused(tokens: Tokens, data: st.DataObject) -> None:
    token = tokens.sign(claims(), now=NOW)
    cut = data.draw(st.integers(0, len(token) - 1))
    more = data.draw(st.text(min_size=1, max_size=8))
    for forged in (token[:cut], token[cut + 1 :], token + more, more + token):
        with pytest.raises(Unauthenticated):
            tokens.read(forged, now=NOW)


@adapters
def test_secrets_differ_are_long_and_fit_in_a_url(tokens: Tokens) -> None:
    made = {tokens.new_secret() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(secret) >= 43 and secret.isascii() for secret in made)
    assert all(character.isalnum() or character in "-_" for secret in made for character in secret)


@adapters
@given(secret=st.text(), other=st.text())
def test_a_digest_is_the_same_for_the_same_secret_and_tells_nothing_else(
    tokens: Tokens, secret: str, other: str
) -> None:
    assert tokens.digest(secret) == tokens.digest(secret)
    assert (tokens.digest(secret) == tokens.digest(other)) == (secret == other)
    assert len(secret) < 8 or secret not in tokens.digest(secret)


@adapters
@given(name=st.text(min_size=8), other=st.text())
def test_a_pseudonym_is_the_same_for_the_same_name_and_tells_nothing_else(
    tokens: Tokens, name: str, other: str
) -> None:
    assert tokens.pseudonym(name) == tokens.pseudonym(name)
    assert (tokens.pseudonym(name) == tokens.pseudonym(other)) == (name == other)
    assert name not in tokens.pseudonym(name)
    assert tokens.pseudonym(name) not in tokens.digest(name)
