"""`chatbill jobs` and `chatbill worker`: what is done in the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from chatbill.application.jobs.list_jobs import MAX_LISTED
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.container import Container
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.ids import JobId
from chatbill.entrypoints.cli.wiring import open_container, run, settings_from
from chatbill.settings import Settings

if TYPE_CHECKING:
    # Only `worker` needs what writes exports and serves metrics.
    from chatbill.entrypoints.web.background_exports import ExportFolder


@click.group()
def jobs() -> None:
    """Show what is done in the background, and retry what failed."""


@jobs.command("list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only jobs in this state.")
@click.option("--kind", help="Only jobs of this kind.")
@click.option("--limit", type=click.IntRange(1, MAX_LISTED), default=50, show_default=True, help="The most jobs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each job.")
def list_jobs(state: str | None, kind: str | None, limit: int, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List jobs, newest first."""
    filters = JobFilter(kind=kind, state=JobState(state) if state else None)
    found = run(
        settings_from(), lambda container: container.use_cases().jobs.list_jobs(filters, limit=limit), upgrade=False
    )
    for job in found:
        click.echo(json.dumps(_figures(job), default=str) if as_json else _line(job))
    if not found and not as_json:
        click.echo("There are no such jobs.")


@jobs.command()
@click.argument("job_id")
def retry(job_id: str) -> None:
    """Queue a job again that failed. A running service or worker then does it."""
    job = run(settings_from(), lambda container: container.use_cases().jobs.retry_job(JobId(job_id)), upgrade=False)
    click.echo(f"The job {job.id} ({job.kind}) is queued again.")


@click.command()
def worker() -> None:
    """Do the jobs of the background until Ctrl-C or SIGTERM, beside services that have CHATBILL_RUN_JOBS=false."""
    settings = settings_from()
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    from chatbill.entrypoints.web.background_exports import FOLDER, ExportFolder  # noqa: PLC0415 - see above
    from chatbill.entrypoints.web.watching import metrics_port  # noqa: PLC0415 - see above

    async with open_container(settings, watched=True) as container, metrics_port(container, settings):
        await _work_until_stopped(container, ExportFolder(settings.data_dir / FOLDER))


async def _work_until_stopped(container: Container, exports: ExportFolder) -> None:
    from chatbill.entrypoints.web.background_exports import export_runner  # noqa: PLC0415 - see above

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        # Windows has no handlers of the loop; Ctrl-C ends the program there.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    click.echo("chatbill does jobs.")
    use_cases = container.use_cases()
    runners = (use_cases.jobs.run_jobs, export_runner(use_cases, exports))
    working: asyncio.Future[Any] = asyncio.gather(*(runner.forever() for runner in runners))
    stopping: asyncio.Future[Any] = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _figures(job: Job) -> dict[str, Any]:
    return {each.name: getattr(job, each.name) for each in fields(job)} | {"parameters": dict(job.parameters)}


def _line(job: Job) -> str:
    error = f"  {job.error}" if job.error else ""
    when = (job.finished_at or job.due_at).isoformat(timespec="seconds")
    return f"{job.id}  {job.state.value:8}{job.kind:18}{when}  attempts: {job.attempts}{error}"
