"""Argon2id passwords, hashed off the event loop; bcrypt hashes of older systems are accepted and reported outdated."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from chatbill.adapters.security.common_passwords import is_common
from chatbill.application.ports.passwords import Verified
from chatbill.domain.accounts.passwords import normalized_password, spellings

T = TypeVar("T")

logger = logging.getLogger(__name__)

# The first of the equally strong settings that OWASP recommends for Argon2id: 46 MiB of memory, one pass, one lane.
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
OWASP_MEMORY_KIB: Final = 47_104
OWASP_PASSES: Final = 1
OWASP_LANES: Final = 1

BCRYPT_HASH: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
BCRYPT_READS_BYTES: Final = 72


class Argon2Passwords:
    """Passwords hashed with Argon2id (RFC 9106), at most `threads` at a time.

    Each running hash takes `memory_kib` KiB. Hashes made with other parameters, and bcrypt's, still verify and are
    reported outdated, so that signing in renews them. Call `close` when done.
    """

    def __init__(
        self,
        *,
        memory_kib: int = OWASP_MEMORY_KIB,
        passes: int = OWASP_PASSES,
        lanes: int = OWASP_LANES,
        threads: int = 2,
    ) -> None:
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="passwords")
        # An unknown name is checked against this, so that it costs what a known one costs.
        self._dummy = self._argon2.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """Return a salted Argon2id hash in the PHC string format."""
        return await self._off_the_loop(lambda: self._argon2.hash(_bytes(normalized_password(password))))

    def is_common(self, password: str) -> bool:
        """Look the password up in a list that comes with a package."""
        return is_common(normalized_password(password))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Check a password. An unreadable hash is logged and never matches; nothing is raised.

        A hash of the password as it was typed, from before passwords were normalized, matches and is outdated.
        """
        return await self._off_the_loop(lambda: self._verify_spellings(password, stored))

    def close(self) -> None:
        """Let running hashes finish and end the threads."""
        self._pool.shutdown()

    def _verify_spellings(self, password: str, stored: str | None) -> Verified:
        normalized, *typed = spellings(password)
        verified = self._verify(_bytes(normalized), stored)
        # Checked for an unknown name too, so that it costs what a known one costs.
        if typed and not verified.ok and self._verify(_bytes(typed[0]), stored).ok:
            return Verified(ok=True, outdated=True)
        return verified

    def _verify(self, password: bytes, stored: str | None) -> Verified:
        if stored is None:
            self._argon2_fits(password, self._dummy)
            return Verified(ok=False)
        if stored.startswith("$2"):
            fits = _bcrypt_fits(password, stored)
            return Verified(ok=fits, outdated=fits)
        fits = self._argon2_fits(password, stored)
        return Verified(ok=fits, outdated=fits and self._argon2.check_needs_rehash(stored))

    def _argon2_fits(self, password: bytes, stored: str) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError, UnicodeError):
            _report_unreadable(stored)
            return False

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _bcrypt_fits(password: bytes, stored: str) -> bool:
    """Check as bcrypt always did: it reads 72 bytes of the password and no more."""
    if not BCRYPT_HASH.fullmatch(stored):
        _report_unreadable(stored)
        return False
    return bcrypt.checkpw(password[:BCRYPT_READS_BYTES], stored.encode("ascii"))


def _bytes(password: str) -> bytes:
    # A lone surrogate can come in through JSON; it is as good a character as any other.
    return password.encode("utf-8", "surrogatepass")


def _report_unreadable(stored: str) -> None:
    # Only the beginning, which names the algorithm: what follows is a secret.
    logger.error("password_hash_unreadable", extra={"begins_with": stored[:4]})
