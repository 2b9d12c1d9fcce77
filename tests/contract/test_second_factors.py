"""What every adapter of the ports of second factors promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from chatbill.adapters.security.one_time_codes import TotpCodes
from chatbill.adapters.security.sealed_secrets import SealedSecrets
from chatbill.application.ports.one_time_codes import OneTimeCodes, SealBroken, Secrets
from chatbill.testing import PlainOneTimeCodes, PlainSecrets

NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30
both_codes = pytest.mark.parametrize("codes", [TotpCodes(), PlainOneTimeCodes()], ids=["totp", "plain"])
both_secrets = pytest.mark.parametrize("secrets", [SealedSecrets(b"k" * 32), PlainSecrets()], ids=["sealed", "plain"])


def code_of(codes: OneTimeCodes, secret: str, step: int) -> str:
    return codes.code(secret, step) if isinstance(codes, PlainOneTimeCodes) else pyotp.TOTP(secret).at(step * 30)


@both_codes
def test_codes_of_this_step_and_of_its_neighbours_are_known_by_their_step(codes: OneTimeCodes) -> None:
    secret = codes.new_secret()
    for drift in (-1, 0, 1):
        assert codes.step(secret, code_of(codes, secret, STEP + drift), now=NOW) == STEP + drift
    for drift in (-2, 2):
        assert codes.step(secret, code_of(codes, secret, STEP + drift), now=NOW) is None
    assert codes.step(codes.new_secret(), code_of(codes, secret, STEP), now=NOW) is None
    assert codes.new_secret() != secret


def test_codes_are_those_of_the_standard() -> None:
    """The vectors of RFC 6238, appendix B, without their first two digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")):
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        assert TotpCodes().step(secret, code, now=now) == seconds // 30


def test_the_address_is_read_by_apps() -> None:
    secret = TotpCodes().new_secret()
    address = urlsplit(TotpCodes().address(secret, "ada?l&x=1"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["chatbill"]}
    assert len(secret) == 32


@both_secrets
def test_a_sealed_secret_opens_for_its_owner_alone(secrets: Secrets) -> None:
    sealed = secrets.seal("secret", of="alice")
    assert secrets.open(sealed, of="alice") == "secret"
    with pytest.raises(SealBroken):
        secrets.open(sealed, of="bob")


def test_what_was_sealed_with_an_older_key_is_opened_and_new_seals_have_the_new_key() -> None:
    earlier = SealedSecrets(b"o" * 32).seal("secret", of="alice")
    rotated = SealedSecrets(b"n" * 32, older=[b"x" * 32, b"o" * 32])
    assert rotated.open(earlier, of="alice") == "secret"
    assert SealedSecrets(b"n" * 32).open(rotated.seal("secret", of="alice"), of="alice") == "secret"
    with pytest.raises(SealBroken):
        SealedSecrets(b"o" * 32).open(rotated.seal("secret", of="alice"), of="alice")


def test_a_sealed_secret_cannot_be_read_changed_or_opened_with_another_key() -> None:
    secrets = SealedSecrets(b"k" * 32)
    sealed = secrets.seal("secret", of="alice")
    assert sealed != secrets.seal("secret", of="alice")
    changed = sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]
    for key, text in ((b"other" * 8, sealed), (b"k" * 32, changed), (b"k" * 32, ""), (b"k" * 32, "é")):
        with pytest.raises(SealBroken) as broken:
            SealedSecrets(key).open(text, of="alice")
        assert "secret" not in str(broken.value).replace("the secret of", "")
