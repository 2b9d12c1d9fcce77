"""Redeem a code: add the credits that it is worth to the wallet, once a person."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.billing.codes import typed_code
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.subjects import CODE, Subject
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Conflict, NotFound
from chatbill.domain.shared.ids import EntryId

LIMITS = (
    Limit(name="codes of a person", times=20, window_s=3_600),
    Limit(name="codes of an address", times=60, window_s=3_600),
    Limit(name="codes in all", times=2_000, window_s=3_600),
)
"""Bounds on wrong codes: of a person, of an address, and in all. No rate makes 125 random bits a likely guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """A code as the person typed it. `address` is where it came from."""

    code: str = field(repr=False)
    address: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeem:
    """Redeem a code.

    Raises `NotFound` for a code that does not exist; `Conflict` for one that this person redeemed before, that all its
    people redeemed, that has expired or was withdrawn; `RateLimited` after too many wrong codes; `Forbidden` for an API
    key and a suspended account.
    """

    store: Store
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    limits: tuple[Limit, ...] = LIMITS

    async def __call__(self, principal: Principal, redemption: Redemption) -> LedgerEntry:
        """Add the credits, and return the entry."""
        require_sign_in(principal)
        origins = tuple(zip(self.limits, (principal.user_id, redemption.address, "all"), strict=True))
        # Counted before the look, so that guesses made in parallel are counted too.
        await self.rate_limits.hit(*origins[0])
        for limit, origin in origins[1:]:
            await self.rate_limits.check(limit, origin)
        if (typed := typed_code(redemption.code)) is None or (entry := await self._entry(principal, typed)) is None:
            for limit, origin in origins[1:]:
                await self.rate_limits.add(limit, origin)
            raise NotFound("code")
        await self.rate_limits.forget(*origins[0])
        return entry

    async def _entry(self, principal: Principal, typed: str) -> LedgerEntry | None:
        """Return the entry, None where no code has these characters."""
        digest, now, entry_id = self.tokens.digest(typed), self.clock(), EntryId(self.new_id())
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> LedgerEntry | None:
            # The lock makes two people wait who redeem the last use at the same time.
            code = tx.codes.lock_by_digest(digest)
            if code is None:
                return None
            wallet = tx.wallets.lock(principal.wallet_id)
            tx.users.require_enabled(principal.user_id)
            if tx.codes.was_redeemed(code.id, wallet.id):
                raise Conflict("code_redeemed_before")
            code.require_redeemable(used=tx.codes.used([code.id]).get(code.id, 0), now=now)
            cause = Cause(description=Description.of("code_redeemed"), subject=Subject(CODE, code.id))
            entry = keep_posting(tx, wallet.grant(code.credits, entry_id=entry_id, at=now, cause=cause))
            act.record_entry(tx, AuditAction.CODE_REDEEMED, (CODE, code.id), entry)
            return entry

        return await self.store.write(work)
