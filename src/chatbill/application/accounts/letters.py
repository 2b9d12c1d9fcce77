"""Queues letters in the transaction that they follow, and sends them afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chatbill.application.accounts.links import new_link
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.mail import Letter, LetterKind, Mailer
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import JobId, UserId

SEND_LETTER: Final = "send_letter"
TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLetter:
    """Queue a letter, if there is a mail server. Takes the id and the time before the transaction."""

    clock: Clock
    new_id: NewId
    sends: bool

    def job(self, kind: LetterKind, user_id: UserId) -> Job | None:
        """Return the job for a letter; None without a mail server. It names the user, and holds no secret."""
        if not self.sends:
            return None
        now, parameters = self.clock(), {"user_id": user_id, "letter": kind.value}
        return Job(id=JobId(self.new_id()), kind=SEND_LETTER, created_at=now, due_at=now, parameters=parameters)


def queue(tx: Transaction, job: Job | None) -> None:
    """Add the job, if there is one."""
    if job is not None:
        tx.jobs.add(job)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLetter:
    """Send the letter that a job names, with a new link. The link of an attempt before, or of another letter, is void.

    The link is made here, so that no row ever holds its secret.
    """

    store: Store
    mailer: Mailer
    tokens: Tokens
    clock: Clock
    new_id: NewId

    async def __call__(self, job: Job) -> None:
        """Store the digest of the link, then send it. Raises `NotSent`."""
        kind, user_id = LetterKind(str(job.parameters["letter"])), UserId(str(job.parameters["user_id"]))
        act = act_of(None, at=self.clock(), new_id=self.new_id)
        stored, link = new_link(user_id, self.tokens, at=act.at)

        def work(tx: Transaction) -> User | None:
            user = tx.users.lock(user_id)
            if user is None or not user.is_enabled or (kind is LetterKind.VERIFICATION and user.email_verified_at):
                return None
            if kind is LetterKind.VERIFICATION:
                user.email_link = stored
            else:
                user.password_link = stored
                after = {"expires_at": stored.expires_at.isoformat()}
                act.record(tx, AuditAction.PASSWORD_LINK_MADE, (USER, user.id), after=after)
            tx.users.save(user)
            return user

        if user := await self.store.write(work):
            await self.mailer.send(
                Letter(
                    id=job.id,
                    kind=kind,
                    to=user.email,
                    token=link.token,
                    expires_at=link.expires_at,
                    locale=user.locale,
                )
            )
