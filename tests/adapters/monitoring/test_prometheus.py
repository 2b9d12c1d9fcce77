"""What Prometheus reads, and that its labels stay few."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from chatbill.adapters.monitoring.prometheus import PrometheusMetrics
from chatbill.application.ports.backups import LastBackup
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.application.ports.machine import GpuFigures, MachineFigures
from chatbill.application.ports.metrics import Figures, PoolFigures, StoredFigures
from chatbill.domain.billing.events import BillingEvent, EventKind
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import ModelId
from tests.kit.rows import NOON, PURSE, interaction, later

MINI = ModelId("demo-mini")
ENDED = replace(
    interaction(),
    model=MINI,
    outcome=Outcome.COMPLETED,
    usage=Usage(prompt_tokens=7, completion_tokens=9),
    processing_time_ms=1_500,
    first_token_ms=300,
    finished_at=later(1),
    balance_after=1,
)
FIGURES = Figures(
    pools={"read": PoolFigures(size=4, connections=3, busy=2, waiting=1)},
    reaches_others=False,
    at=NOON,
    models={MINI: ModelStatus(state=ModelState.READY, running=2, queued=3, at_once=8, memory_bytes=1_000)},
    machine=MachineFigures(
        process_bytes=5, disk_free_bytes=6, gpus=(GpuFigures(name="cuda:0", used_bytes=1, total_bytes=2),)
    ),
    stored=StoredFigures(
        open_holds=4,
        expired_holds=1,
        oldest_event_at=NOON - timedelta(seconds=30),
        jobs={("verify_ledger", "failed"): 2},
        open_alerts={"model_unhealthy": 1},
    ),
)


def samples(metrics: PrometheusMetrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.rendered().decode())
    return {
        sample.name + "".join(f"[{value}]" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_moment_of_the_last_backup_is_a_sample_where_backups_are_made() -> None:
    metrics, name = PrometheusMetrics(), "chatbill_backup_last_timestamp_seconds"
    metrics.observed(replace(FIGURES, backup=None))
    assert name not in samples(metrics)
    # An alert must see that there is none yet.
    metrics.observed(replace(FIGURES, backup=LastBackup(None)))
    assert samples(metrics)[name] == 0
    metrics.observed(replace(FIGURES, backup=LastBackup(NOON)))
    assert samples(metrics)[name] == NOON.timestamp()


def test_events_are_counted_with_their_units() -> None:
    metrics = PrometheusMetrics(version="1.2")
    metrics.request_answered(method="GET", route="/auth/me", status=404, seconds=0.02)
    metrics.request_answered(method="BREW", route="unmatched", status=405, seconds=0.02)
    metrics.reply_ended(ENDED)
    metrics.reply_ended(replace(ENDED, cached=True, outcome=Outcome.FAILED, error_code="generation_failed"))
    for amount in (5, -3):
        metrics.credits_moved(BillingEvent(kind=EventKind.ADJUSTED, wallet_id=PURSE, amount=amount, at=NOON))
    metrics.store_used(is_write=True, seconds=0.001, failed=True)
    metrics.job_ended(kind="verify_ledger", outcome="done", seconds=2)
    found = samples(metrics)
    expected = {
        "chatbill_info[1.2]": 1,
        "chatbill_requests_total[GET][/auth/me][4xx]": 1,
        "chatbill_requests_total[other][unmatched][4xx]": 1,
        "chatbill_request_duration_seconds_sum[/auth/me]": 0.02,
        "chatbill_replies_total[demo-mini][completed]": 1,
        "chatbill_reply_errors_total[generation_failed][demo-mini]": 1,
        "chatbill_cached_replies_total[demo-mini]": 1,
        "chatbill_tokens_total[prompt][demo-mini]": 14,
        "chatbill_tokens_total[completion][demo-mini]": 18,
        "chatbill_first_token_seconds_sum[demo-mini]": 0.6,
        "chatbill_reply_duration_seconds_count[demo-mini]": 2,
        "chatbill_credits_total[adjusted]": 5,
        "chatbill_credits_total[taken]": 3,
        "chatbill_credits_total[charged]": 0,
        "chatbill_store_errors_total": 1,
        "chatbill_job_attempts_total[verify_ledger][done]": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_state_is_shown_once_it_was_read_and_nothing_unknown_looks_like_zero() -> None:
    metrics = PrometheusMetrics()
    assert not [name for name in samples(metrics) if name.startswith(("chatbill_model", "chatbill_holds"))]
    metrics.observed(FIGURES)
    found = samples(metrics)
    expected = {
        "chatbill_model_available[demo-mini]": 1,
        "chatbill_model_running_replies[demo-mini]": 2,
        "chatbill_model_queued_replies[demo-mini]": 3,
        "chatbill_model_batch_size[demo-mini]": 8,
        "chatbill_model_memory_bytes[demo-mini]": 1_000,
        "chatbill_holds[open]": 4,
        "chatbill_holds[expired]": 1,
        "chatbill_outbox_oldest_event_age_seconds": 30,
        "chatbill_jobs[verify_ledger][failed]": 2,
        "chatbill_alerts_open[model_unhealthy]": 1,
        "chatbill_disk_free_bytes": 6,
        "chatbill_gpu_memory_used_bytes[cuda:0]": 1,
        "chatbill_store_up": 1,
        "chatbill_shared_server_up": 0,
        "chatbill_store_pool_size[read]": 4,
        "chatbill_store_pool_connections[read]": 3,
        "chatbill_store_pool_busy[read]": 2,
        "chatbill_store_pool_waiting[read]": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "chatbill_memory_free_bytes" not in found
    metrics.observed(replace(FIGURES, stored=None))
    assert samples(metrics)["chatbill_store_up"] == 0
    assert "chatbill_holds[open]" not in samples(metrics)


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    metrics = PrometheusMetrics()
    metrics.observed(FIGURES)
    metrics.reply_ended(ENDED)
    allowed = {
        "method",
        "route",
        "status",
        "model",
        "outcome",
        "code",
        "kind",
        "state",
        "operation",
        "gpu",
        "version",
        "pool",
    }
    for family in metrics.registry.collect():
        if family.name.startswith("chatbill"):
            assert re.fullmatch(r"chatbill_[a-z_]+", family.name)
            assert family.documentation.endswith(".")
            for sample in family.samples:
                assert set(sample.labels) <= {*allowed, "le"}
            if "duration" in family.name or "age" in family.name or "first_token" in family.name:
                assert family.name.endswith("_seconds")
