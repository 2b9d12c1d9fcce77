"""JSON Web Tokens against RFC 8725: one algorithm, one type, one issuer, one audience, every claim."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.security.tokens import JwtTokens
from chatbill.application.ports.tokens import Claims
from chatbill.domain.shared.errors import TokenExpired, Unauthenticated
from chatbill.domain.shared.ids import SessionId, UserId

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKENS = JwtTokens(KEY)
GOOD: dict[str, Any] = {
    "iss": "chatbill",
    "aud": "chatbill",
    "sub": "u1",
    "sid": "s1",
    "use": "api",
    "jti": "j1",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 3_600,
}
MISSING = object()


def forged(key: bytes = KEY, *, algorithm: str = "HS256", typ: str | None = "at+jwt", **changes: Any) -> str:
    payload = {name: value for name, value in (GOOD | changes).items() if value is not MISSING}
    headers = {} if typ is None else {"typ": typ}
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def refused(token: str) -> bool:
    try:
        TOKENS.read(token, now=NOW)
    except TokenExpired:
        return False
    except Unauthenticated:
        return True
    return False


def test_the_forge_makes_good_tokens_when_nothing_is_changed() -> None:
    assert TOKENS.read(forged(), now=NOW).user_id == "u1"


def test_a_token_names_its_type_algorithm_and_claims() -> None:
    said = Claims(user_id=UserId("u1"), session_id=SessionId("s1"), expires_at=NOW + timedelta(hours=1))
    token = TOKENS.sign(said, now=NOW)
    header = jwt.get_unverified_header(token)
    assert set(header) == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"], len(header["kid"])) == ("HS256", "at+jwt", 16)
    payload = jwt.decode(token, options={"verify_signature": False})
    assert set(payload) == {"iss", "aud", "sub", "sid", "use", "jti", "iat", "exp"}
    assert payload | {"jti": "j1"} == GOOD
    assert TOKENS.sign(said, now=NOW) != token, "each token has an id of its own"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], {}])
def test_an_unsigned_token_is_refused(algorithm: object) -> None:
    head = encoded({"alg": algorithm, "typ": "at+jwt"})
    for signature in ("", "A" * 43, forged().rpartition(".")[2]):
        assert refused(f"{head}.{encoded(GOOD)}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_algorithm_is_refused_even_with_the_right_key(algorithm: str) -> None:
    assert refused(forged(algorithm=algorithm))


def test_another_key_is_refused() -> None:
    assert refused(forged(b"x" * 32))


@pytest.mark.parametrize("typ", [None, "", "JWT", "jwt", "rt+jwt"])
def test_another_type_is_refused(typ: str | None) -> None:
    assert refused(forged(typ=typ))


@pytest.mark.parametrize("claim", GOOD)
def test_a_missing_claim_is_refused(claim: str) -> None:
    changes: dict[str, Any] = {claim: MISSING}
    assert refused(forged(**changes))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "other"),
        ("iss", ""),
        ("aud", "other"),
        ("aud", ["chatbill"]),
        ("aud", None),
        ("sub", ""),
        ("sub", "x" * 65),
        ("sub", None),
        ("use", "both"),
        ("use", ["api"]),
        ("use", MISSING),
        ("sid", 7),
        ("sid", ""),
        ("sid", ["s1"]),
        ("jti", 7),
        ("iat", "yesterday"),
        ("iat", True),
        ("exp", None),
        ("exp", "never"),
        ("exp", 1e400),
        ("exp", -1e400),
        ("exp", 1e300),
        ("exp", True),
        ("exp", [1]),
    ],
)
def test_a_wrong_claim_is_refused(claim: str, value: object) -> None:
    changes: dict[str, Any] = {claim: value}
    assert refused(forged(**changes))


def test_a_token_from_the_future_is_refused_but_clocks_may_differ_a_little() -> None:
    assert not refused(forged(iat=int(NOW.timestamp()) + 59))
    assert refused(forged(iat=int(NOW.timestamp()) + 61))


def test_the_clock_of_the_machine_does_not_matter() -> None:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    said = Claims(user_id=UserId("u1"), session_id=SessionId("s1"), expires_at=long_ago + timedelta(hours=1))
    assert TOKENS.read(TOKENS.sign(said, now=long_ago), now=long_ago) == said


def test_an_expired_token_is_told_from_a_forged_one() -> None:
    with pytest.raises(TokenExpired):
        TOKENS.read(forged(), now=NOW + timedelta(hours=2))
    with pytest.raises(Unauthenticated) as raised:
        TOKENS.read(forged(b"x" * 32), now=NOW + timedelta(hours=2))
    assert not isinstance(raised.value, TokenExpired)


@given(header=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()), payload=st.binary())
def test_any_header_and_payload_without_a_good_signature_is_refused(header: dict[str, Any], payload: bytes) -> None:
    body = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    assert refused(f"{encoded(header | {'alg': 'HS256', 'typ': 'at+jwt'})}.{body}.{'A' * 43}")


def test_the_second_spelling_of_a_signature_is_refused() -> None:
    token = forged()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    for spelling in {alphabet[last & ~3 | low] for low in range(4)} - {token[-1]}:
        assert refused(token[:-1] + spelling)


def test_a_short_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        JwtTokens(b"x" * 31)


def test_tokens_of_an_older_key_are_read_and_new_ones_have_the_new_key() -> None:
    old, new = b"o" * 32, b"n" * 32
    said = Claims(user_id=UserId("u1"), session_id=SessionId("s1"), expires_at=NOW + timedelta(hours=1))
    earlier = JwtTokens(old).sign(said, now=NOW)
    rotated = JwtTokens(new, older=[b"x" * 32, old])
    assert rotated.read(earlier, now=NOW) == said
    token = rotated.sign(said, now=NOW)
    assert JwtTokens(new).read(token, now=NOW) == said
    for stranger in (JwtTokens(old), JwtTokens(old, older=[b"x" * 32])):
        with pytest.raises(Unauthenticated):
            stranger.read(token, now=NOW)


def test_a_token_that_names_no_key_is_read_with_each() -> None:
    rotated = JwtTokens(b"n" * 32, older=[KEY])
    assert rotated.read(forged(), now=NOW).user_id == "u1"
    with pytest.raises(Unauthenticated):
        rotated.read(forged(b"x" * 32), now=NOW)


def test_a_token_cannot_choose_a_key_that_did_not_sign_it() -> None:
    named = jwt.get_unverified_header(TOKENS.sign(TOKENS.read(forged(), now=NOW), now=NOW))["kid"]
    for kid in (named, "unknown", "", None, 7, ["x"], {"k": "x"}):
        header = encoded({"alg": "HS256", "typ": "at+jwt", "kid": kid})
        assert refused(f"{header}.{forged().split('.')[1]}.{'A' * 43}")


def test_a_short_older_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        JwtTokens(b"k" * 32, older=[b"x" * 31])
