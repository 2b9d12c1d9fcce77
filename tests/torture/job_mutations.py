"""The bugs that are put into jobs and alerts, one at a time, and the tests that must catch each."""

from __future__ import annotations

from tests.torture.seeding import Edit, Mutant

JOBS = "src/chatbill/domain/jobs/jobs.py"
RUN = "src/chatbill/application/jobs/run_jobs.py"
FORGET_TEXTS = "src/chatbill/application/maintenance/forget_texts.py"
ALERTS = "src/chatbill/domain/monitoring/alerts.py"
RECORD = "src/chatbill/application/monitoring/record_findings.py"
SQL_JOBS = "src/chatbill/adapters/persistence/repositories/jobs.py"
MEMORY_JOBS = "src/chatbill/adapters/memory/repositories/jobs.py"

T_RUNNER = "tests/contract/repositories/test_job_runner.py"
T_JOBS = "tests/contract/repositories/test_jobs.py"
T_FINDINGS = "tests/contract/repositories/test_findings.py"
T_FORGET_TEXTS = "tests/application/maintenance/test_forget_texts.py"

JOB_MUTANTS = (
    Mutant(
        "an attempt that was taken for dead ends its job",
        (
            Edit(SQL_JOBS, 'or_(_J.claim == bindparam("held"), ', "or_(_J.claim.is_not(None), "),
            Edit(MEMORY_JOBS, "stored is None or stored.claim != claim:", "stored is None:"),
        ),
        (f"{T_RUNNER}::test_what_a_process_does_that_was_taken_for_dead_is_rolled_back",),
    ),
    Mutant(
        "the effect of a job and its end are kept in two transactions",
        (
            Edit(
                RUN,
                "            if effect is not None:\n"
                "                effect(tx)\n\n        await self.store.write(work)\n",
                "        await self.store.write(work)\n"
                "        if effect is not None:\n"
                "            await self.store.write(effect)\n",
            ),
        ),
        (f"{T_RUNNER}::test_an_effect_that_fails_leaves_neither_itself_nor_the_end_of_the_job",),
    ),
    Mutant(
        "a job that kills its process is begun again for ever",
        (Edit(RUN, "                if job.is_worn_out:\n", "                if False:\n"),),
        (f"{T_RUNNER}::test_a_job_that_kills_its_process_each_time_is_given_up",),
    ),
    Mutant(
        "every process has a periodic job of its own",
        (Edit(JOBS, "period=starts_at.isoformat())", 'period=f"{starts_at.isoformat()} {job_id}")'),),
        (f"{T_RUNNER}::test_a_periodic_job_is_done_once_by_many_processes_each_period",),
    ),
    Mutant(
        "the claim of a long job is not extended",
        (Edit(RUN, "extended = job.extended(at=self.clock())", "extended = job"),),
        (f"{T_RUNNER}::test_a_claim_is_extended_while_the_job_runs_and_given_back_when_the_process_stops",),
    ),
    Mutant(
        "a process that stops uses up an attempt of its job",
        (Edit(JOBS, "attempts=self.attempts - 1, due_at=at)", "due_at=at)"),),
        (f"{T_RUNNER}::test_a_claim_is_extended_while_the_job_runs_and_given_back_when_the_process_stops",),
    ),
    Mutant(
        "a job that failed is tried again at once",
        (Edit(JOBS, "pause_s = min(FIRST_PAUSE_S * 2 ** (self.attempts - 1), LONGEST_PAUSE_S)", "pause_s = 0"),),
        (f"{T_RUNNER}::test_a_job_that_fails_is_tried_later_and_later_and_is_then_visible",),
    ),
    Mutant(
        "a job that failed for good counts as done",
        (Edit(JOBS, "state=JobState.FAILED, claim=None, error=error", "state=JobState.DONE, claim=None, error=error"),),
        (f"{T_RUNNER}::test_a_job_that_fails_is_tried_later_and_later_and_is_then_visible",),
    ),
    Mutant(
        "jobs that failed are forgotten",
        (
            Edit(SQL_JOBS, "    .where(_IS_DONE, _J.finished_at <", "    .where(_J.finished_at <"),
            Edit(MEMORY_JOBS, "if job.state is JobState.DONE and job.finished_at and", "if job.finished_at and"),
        ),
        (f"{T_JOBS}::test_unfinished_and_failed_jobs_are_counted_and_done_ones_are_forgotten",),
    ),
    Mutant(
        "an alert is told each time that it is found",
        (Edit(ALERTS, " and at - self.notified_at >= timedelta(seconds=COOL_DOWN_S)", ""),),
        (f"{T_FINDINGS}::test_an_alert_is_opened_once_repeated_after_the_cool_down_and_closed_by_itself",),
    ),
    Mutant(
        "a source closes the alerts of another",
        (
            Edit(
                RECORD,
                "is_over = finding is None and (listed.source == source or",
                "is_over = finding is None and (True or",
            ),
        ),
        (f"{T_FINDINGS}::test_what_one_source_does_not_find_says_nothing_about_another",),
    ),
    Mutant(
        "texts are erased before their time",
        (Edit(FORGET_TEXTS, "if text.created_at < before]", "]"),),
        (T_FORGET_TEXTS,),
    ),
)
