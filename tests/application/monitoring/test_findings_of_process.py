"""What is wrong with a process, by its figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.monitoring import findings
from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.ports.backups import LastBackup
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.application.ports.machine import MachineFigures
from chatbill.application.ports.metrics import Figures, StoredFigures
from chatbill.application.shared.bounds import AlertBounds
from chatbill.domain.monitoring.alerts import AlertKind, Finding
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId
from tests.application.monitoring.test_recent_figures import ENDED, MINI, Seconds, answered
from tests.kit.rows import NOON
from tests.kit.support import CATALOGUE, world

READY = ModelStatus(state=ModelState.READY)
CALM = Figures(at=NOON, models={MINI: READY}, machine=MachineFigures(), stored=StoredFigures())


def found(figures: Figures = CALM, recent: RecentFigures | None = None, **bounds: float) -> list[Finding]:
    minutes = (recent or RecentFigures(now=Seconds())).within(10)
    chosen = AlertBounds(**bounds)  # type: ignore[arg-type]
    return list(findings.of_process(figures, minutes, chosen, source="process:here:1"))


def test_a_calm_process_has_no_findings() -> None:
    assert found() == []


def test_a_model_that_does_not_write_and_a_long_queue_are_found() -> None:
    sick = replace(READY, healthy=False, reason=Description("model_lost"))
    busy = replace(READY, queued=80, at_once=8)
    models = {MINI: sick, ModelId("demo-pro"): busy}
    unhealthy, queue = found(replace(CALM, models=models))
    assert (unhealthy.kind, unhealthy.subject) == (AlertKind.MODEL_UNHEALTHY, "demo-mini at here:1")
    assert dict(unhealthy.evidence) == {"model": "demo-mini", "reason": "model_lost"}
    assert (queue.kind, dict(queue.evidence)) == (
        AlertKind.QUEUE_FULL,
        {"model": "demo-pro", "queued": 80, "batch_size": 8},
    )


def test_a_model_that_is_gone_is_found_and_one_that_never_came_is_not() -> None:
    gone = replace(READY, state=ModelState.UNAVAILABLE, reason=Description("model_server_unreachable"))
    figures = replace(CALM, models={MINI: gone, ModelId("demo-pro"): gone})
    recent = RecentFigures(now=Seconds()).within(10)
    (finding,) = findings.of_process(figures, recent, AlertBounds(), source="process:here:1", offered={MINI})
    assert (finding.kind, finding.evidence["reason"]) == (AlertKind.MODEL_UNHEALTHY, "model_server_unreachable")


async def test_the_watch_remembers_which_models_were_offered() -> None:
    engine = ScriptedEngine(CATALOGUE)
    here = world(engine=engine)
    watch = here.use_cases.monitoring.watch_process
    assert await watch("here:1") == 0
    await engine.close()
    here.use_cases.monitoring.read_figures._last = None
    assert await watch("here:1") == len(CATALOGUE)
    await engine.start()
    here.use_cases.monitoring.read_figures._last = None
    assert await watch("here:1") == len(CATALOGUE)
    assert await here.store.read(lambda snapshot: snapshot.alerts.open_ones()) == []


def test_a_share_of_failed_requests_is_found_once_there_are_enough() -> None:
    recent = RecentFigures(now=Seconds())
    for _ in range(19):
        answered(recent, status=502)
    assert found(recent=recent) == []
    answered(recent)
    (finding,) = found(recent=recent)
    assert (finding.kind, dict(finding.evidence)) == (
        AlertKind.ERROR_RATE,
        {"requests": 20, "errors": 19, "percent": 95.0},
    )


def test_refused_sign_ins_and_slow_replies_are_found() -> None:
    recent = RecentFigures(now=Seconds())
    for _ in range(30):
        answered(recent, "/auth/login", 401)
    for _ in range(10):
        recent.reply_ended(replace(ENDED, processing_time_ms=100_000))
    kinds = [finding.kind for finding in found(recent=recent, refused_sign_ins=30)]
    assert kinds == [AlertKind.SIGN_INS_FAIL, AlertKind.SLOW_REPLIES]


def test_a_full_disk_is_found() -> None:
    (finding,) = found(replace(CALM, machine=MachineFigures(disk_free_bytes=4, disk_total_bytes=100)))
    assert finding.kind is AlertKind.DISK_FULL


def test_a_backup_that_is_missing_or_too_old_is_found() -> None:
    def of(backup: LastBackup | None, **bounds: float) -> list[dict[str, object]]:
        figures = replace(CALM, backup=backup)
        return [dict(each.evidence) for each in findings.of_backups(figures, AlertBounds(**bounds))]  # type: ignore[arg-type]

    old = LastBackup(NOON - timedelta(hours=48))
    assert of(old) == [{"age": "48 h"}]
    assert of(LastBackup(None)) == [{"age": "none"}]
    assert of(LastBackup(NOON - timedelta(hours=47))) == of(None) == of(old, backup_age_s=0) == []


async def test_an_old_backup_opens_one_alert_for_all_processes_and_a_new_one_closes_it() -> None:
    made = world()
    backup: list[LastBackup | None] = [LastBackup(None)]

    async def figures() -> Figures:
        return replace(CALM, backup=backup[0])

    monitoring = made.use_cases.monitoring
    watch = replace(monitoring.watch_process, read_figures=figures)  # type: ignore[arg-type]
    for process in ("here:1", "there:2"):
        await watch(process)
    (alert,) = await made.store.read(lambda snapshot: list(snapshot.alerts.open_ones()))
    assert (alert.kind, alert.severity.value) == (AlertKind.BACKUP_OLD, "critical")
    backup[0] = LastBackup(NOON)
    await watch("here:1")
    assert await made.store.read(lambda snapshot: list(snapshot.alerts.open_ones())) == []


def test_jobs_that_no_process_does_are_found_by_every_process() -> None:
    late = replace(CALM, stored=StoredFigures(oldest_due_at=NOON - timedelta(seconds=900)))
    (finding,) = findings.of_jobs(late, AlertBounds())
    assert (finding.kind, dict(finding.evidence)) == (AlertKind.OUTBOX_OLD, {"waited_s": 900})
    assert list(findings.of_jobs(CALM, AlertBounds())) == []
    assert list(findings.of_jobs(replace(CALM, stored=None), AlertBounds())) == []
