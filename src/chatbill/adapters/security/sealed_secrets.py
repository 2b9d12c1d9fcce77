"""Secrets that are stored encrypted: AES-256 in GCM, with a key that follows from the key of the service."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chatbill.application.ports.one_time_codes import SealBroken

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 8.2: 96 bits


class SealedSecrets:
    """Seals with a key of its own, made from `key` (HKDF, RFC 5869), so that tokens and seals share none.

    Opens what was sealed with an `older` key too.
    """

    def __init__(self, key: bytes, *, older: Sequence[bytes] = ()) -> None:
        self._ciphers = [_cipher(each) for each in (key, *older)]

    def seal(self, secret: str, *, of: str) -> str:
        """Return nonce, text and tag in Base64."""
        nonce = os.urandom(NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._ciphers[0].encrypt(nonce, secret.encode(), of.encode())).decode("ascii")

    def open(self, sealed: str, *, of: str) -> str:
        """Return the secret. Raises `SealBroken`."""
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                box = urlsafe_b64decode(sealed)
                return cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], of.encode()).decode()
        raise SealBroken(f"the secret of {of} was sealed with another key than those of the service")


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"chatbill sealed secrets").derive(key))
