"""What the runner of jobs calls: a handler for each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from chatbill.application.ports.store import Transaction
from chatbill.domain.jobs.jobs import Job

Effect: TypeAlias = Callable[[Transaction], None]
"""Writes what a job has done, in the transaction that ends the job: both are kept, or neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """Does the jobs of one kind, each within `timeout_s` seconds.

    `work` may run more than once for a job, as after a crash, so what it does by itself must be the same when it is
    done again. What must happen once is in the effect that it returns.
    """

    work: Callable[[Job], Awaitable[Effect | None]]
    timeout_s: float = 3_600.0


def counted(work: Callable[[], Awaitable[int]]) -> Handler:
    """Return the handler for work that removes what is old, and that changes nothing when it runs again."""

    async def run(_job: Job) -> None:
        await work()

    return Handler(work=run)
