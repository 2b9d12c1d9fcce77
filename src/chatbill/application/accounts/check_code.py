"""Checks the code of a second factor."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.one_time_codes import OneTimeCodes, Secrets
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.domain.accounts.second_factors import (
    SecondFactor,
    SecondFactorRequired,
    WrongCode,
    one_time_code,
    recovery_code,
)
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCode:
    """A code that fits a second factor: the step of a one-time code, or the digest of a recovery code."""

    sealed_secret: str = field(repr=False)
    step: int | None = None
    digest: str | None = field(default=None, repr=False)

    @property
    def is_recovery(self) -> bool:
        """Return True for a recovery code."""
        return self.digest is not None

    def use(self, factor: SecondFactor) -> None:
        """Use the code up. Raises `WrongCode` if it was used meanwhile, or if the second factor is another one now."""
        if factor.sealed_secret != self.sealed_secret:
            raise WrongCode
        if self.step is not None:
            factor.use_step(self.step)
        else:
            factor.use_recovery_code(self.digest or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCode:
    """Check a code outside any transaction.

    Raises `WrongCode`, and `RateLimited` after too many wrong ones of this user or of all: six digits would be guessed
    by trying. Call `accepted` when the code was used.
    """

    secrets: Secrets
    one_time_codes: OneTimeCodes
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    failures: Limit
    failures_in_all: Limit

    async def __call__(self, factor: SecondFactor, typed: str) -> CheckedCode:
        """Return the code if it fits. Counted before the check, so that guesses made in parallel are counted too."""
        await self.rate_limits.check(self.failures_in_all, "")
        await self.rate_limits.hit(self.failures, factor.user_id)
        try:
            checked = self._fitting(factor, typed)
            checked.use(factor)
        except WrongCode:
            await self.rate_limits.add(self.failures_in_all, "")
            raise
        return checked

    def _fitting(self, factor: SecondFactor, typed: str) -> CheckedCode:
        if (code := recovery_code(typed)) is not None:
            return CheckedCode(sealed_secret=factor.sealed_secret, digest=self.tokens.digest(code))
        if (code := one_time_code(typed)) is None:
            raise WrongCode
        secret = self.secrets.open(factor.sealed_secret, of=factor.user_id)
        step = self.one_time_codes.step(secret, code, now=self.clock())
        if step is None:
            raise WrongCode
        return CheckedCode(sealed_secret=factor.sealed_secret, step=step)

    async def accepted(self, user_id: UserId) -> None:
        """Forget the wrong codes of a user."""
        await self.rate_limits.forget(self.failures, user_id)


def use_code(tx: Transaction, user_id: UserId, code: CheckedCode | None) -> None:
    """Use up the code of a user, who is locked. Raises `SecondFactorRequired` without one if one is needed now."""
    factor = tx.second_factors.get(user_id)
    if factor is None or not factor.is_active:
        return
    if code is None:
        raise SecondFactorRequired
    code.use(factor)
    tx.second_factors.save(factor)
