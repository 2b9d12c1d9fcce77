"""Send the letter that verifies one's e-mail address once more."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.letters import QueueLetter, queue
from chatbill.application.ports.mail import LetterKind
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in


@dataclass(frozen=True, slots=True, kw_only=True)
class SendVerification:
    """Queue the letter, unless the address is verified or there is no mail server.

    The link of the letter before is void when the new one is sent. Raises `Forbidden` for an API key, and `RateLimited`
    after too many letters to one person.
    """

    store: Store
    queue_letter: QueueLetter
    rate_limits: RateLimits
    per_person: Limit

    async def __call__(self, principal: Principal) -> None:
        """Count the letter, then queue it."""
        require_sign_in(principal)
        await self.rate_limits.hit(self.per_person, principal.user_id)
        job = self.queue_letter.job(LetterKind.VERIFICATION, principal.user_id)

        def work(tx: Transaction) -> None:
            user = tx.users.lock(principal.user_id)
            if user is not None and user.is_enabled and user.email_verified_at is None:
                queue(tx, job)

        await self.store.write(work)
