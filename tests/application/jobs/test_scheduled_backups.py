"""A service with a place for backups makes one each period."""

from __future__ import annotations

import pytest

from chatbill.application.ports.backups import BackupFailed, LastBackup
from chatbill.domain.jobs.jobs import JobState
from chatbill.testing import ManualClock
from tests.kit.support import world


class CountedBackups:
    """Backups that are counted and not made."""

    def __init__(self, *, fails: bool = False) -> None:
        self.made, self._fails = 0, fails

    async def make(self) -> None:
        self.made += 1
        if self._fails:
            raise BackupFailed("the place is full")

    def newest(self) -> LastBackup | None:
        return None


@pytest.mark.parametrize("days", [1, 3])
async def test_a_backup_is_made_once_a_day(days: int) -> None:
    clock, backups = ManualClock(), CountedBackups()
    run_jobs = world(clock=clock, backups=backups).use_cases.jobs.run_jobs
    for _ in range(days * 24 * 2 + 1):
        await run_jobs()
        clock.advance(1_800)
    assert backups.made == days


async def test_a_backup_that_fails_is_tried_again_and_its_error_is_on_record() -> None:
    clock, backups = ManualClock(), CountedBackups(fails=True)
    made = world(clock=clock, backups=backups)
    for _ in range(24 * 60 * 2):
        await made.use_cases.jobs.run_jobs()
        clock.advance(60)
        if backups.made == 8:
            break
    jobs = await made.store.read(lambda snapshot: snapshot.jobs.counts())
    assert jobs["back_up", JobState.FAILED.value] == 1
