"""Exports that are written in the background: asking for one, reading how far it is, and giving it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Forbidden, NotFound, Overloaded, RateLimited
from chatbill.domain.shared.ids import JobId, ModelId, UserId, WalletId

EXPORT: Final = "export"
"""The kind of the jobs that write exports."""
KEPT_S: Final = 86_400
"""How long the file of an export is kept."""
OF_ONE_PERSON: Final = 3
IN_ALL: Final = 12
RETRY_AFTER_S: Final = 600
_LISTED: Final = 1_000


class Exported(StrEnum):
    """What can be exported in the background."""

    LEDGER = "ledger"
    INTERACTIONS = "interactions"


NEEDED: Final[Mapping[Exported, Permission]] = {
    Exported.LEDGER: Permission.READ_MONEY,
    Exported.INTERACTIONS: Permission.READ_USE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an export has. `user_id` selects the wallet of a user in the ledger."""

    what: Exported
    user_id: UserId | None = None
    wallet_id: WalletId | None = None
    model: ModelId | None = None
    kind: EntryKind | None = None
    outcome: Outcome | None = None
    period: Period = Period()

    @property
    def entries(self) -> LedgerFilter:
        """Return the filter of the ledger."""
        return LedgerFilter(wallet_id=self.wallet_id, kind=self.kind, model=self.model, period=self.period)

    @property
    def interactions(self) -> InteractionFilter:
        """Return the filter of interactions, without a search of their texts."""
        return InteractionFilter(user_id=self.user_id, model=self.model, outcome=self.outcome, period=self.period)

    def parameters(self) -> dict[str, str | int | bool | None]:
        """Return it as parameters of a job."""
        found = {
            "what": self.what.value,
            "user": self.user_id,
            "wallet": self.wallet_id,
            "model": self.model,
            "kind": self.kind and self.kind.value,
            "outcome": self.outcome and self.outcome.value,
            "from": self.period.start.isoformat() if self.period.start else None,
            "to": self.period.end.isoformat() if self.period.end else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def of(cls, job: Job) -> Wanted:
        """Return what a job has to write."""
        found = {name: str(value) for name, value in job.parameters.items()}
        start, end = (datetime.fromisoformat(found[name]) if name in found else None for name in ("from", "to"))
        return cls(
            what=Exported(found["what"]),
            user_id=UserId(found["user"]) if "user" in found else None,
            wallet_id=WalletId(found["wallet"]) if "wallet" in found else None,
            model=ModelId(found["model"]) if "model" in found else None,
            kind=EntryKind(found["kind"]) if "kind" in found else None,
            outcome=Outcome(found["outcome"]) if "outcome" in found else None,
            period=Period(start=start, end=end),
        )


def owner_of(job: Job) -> UserId:
    """Return the person who has asked for an export."""
    return UserId(str(job.parameters["owner"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJobs:
    """Exports of members of the staff, each for its owner alone, and kept for `KEPT_S` seconds."""

    store: Store
    clock: Clock
    new_id: NewId

    async def ask(self, principal: Principal, wanted: Wanted) -> Job:
        """Queue an export and record it in the audit trail.

        Raises `Forbidden`, `RateLimited` for a person who has `OF_ONE_PERSON`, and `Overloaded` where there are
        `IN_ALL`.
        """
        require_permission(principal, NEEDED[wanted.what])
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)
        facts = wanted.parameters()
        job = Job(
            id=JobId(self.new_id()),
            kind=EXPORT,
            created_at=act.at,
            due_at=act.at,
            parameters={"owner": principal.user_id, **facts},
        )

        def work(tx: Transaction) -> Job:
            tx.users.lock(principal.user_id)  # so that two requests at the same moment do not both find a place
            kept = _kept(tx, now=act.at)
            if sum(owner_of(each) == principal.user_id for each in kept) >= OF_ONE_PERSON:
                raise RateLimited("exports_kept", max=OF_ONE_PERSON, retry_after_s=RETRY_AFTER_S)
            if len(kept) >= IN_ALL:
                raise Overloaded("exports_taken", retry_after_s=RETRY_AFTER_S)
            act.record(
                tx, AuditAction.EXPORTED, subject=("report", wanted.what.value), after={**facts, "format": "xlsx"}
            )
            tx.jobs.add(job)
            return job

        return await self.store.write(work)

    async def list(self, principal: Principal) -> list[Job]:
        """Return the exports of the principal that are kept, newest first."""
        require_permission(principal, Permission.READ_USE)
        now = self.clock()
        kept = await self.store.read(lambda snapshot: _kept(snapshot, now=now))
        return [each for each in kept if owner_of(each) == principal.user_id]

    async def get(self, principal: Principal, job_id: JobId) -> Job:
        """Return an export of the principal. Raises `NotFound`, and `Forbidden` without the permission it needs now."""
        found = next((each for each in await self.list(principal) if each.id == job_id), None)
        if found is None:
            raise NotFound("export")
        require_permission(principal, NEEDED[Wanted.of(found).what])
        return found

    async def owner(self, job: Job) -> Principal:
        """Return who has asked for an export, as they are now. Raises `Forbidden` if they may not read it any more."""
        user = await self.store.read(lambda snapshot: snapshot.users.get(owner_of(job)))
        if user is None or not user.is_enabled:
            raise Forbidden("account_disabled")
        principal = Principal.of(user)
        require_permission(principal, NEEDED[Wanted.of(job).what])
        return principal


def _kept(snapshot: Snapshot | Transaction, *, now: datetime) -> list[Job]:
    jobs = snapshot.jobs.newest(JobFilter(kind=EXPORT), after=None, limit=_LISTED)
    oldest = now - timedelta(seconds=KEPT_S)
    return [job for job in jobs if job.created_at > oldest]
