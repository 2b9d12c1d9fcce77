"""English texts of alerts, of advice, and of the state of parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts.models import MODELS

ALERTS: Final[dict[str, str]] = {
    "sign_ins_fail": "{refused} sign-ins were refused within {minutes} minutes.",
    "model_unhealthy": "The model {model} does not write ({reason}).",
    "error_rate": "{errors} of {requests} requests failed within ten minutes: {percent} %.",
    "slow_replies": "Of {replies} replies of {model} within ten minutes, 5 % took {p95_ms} ms or longer.",
    "queue_full": "{queued} requests wait for {model}, which writes {batch_size} replies together.",
    "disk_full": "{free_bytes} of {total_bytes} bytes are free on the disk of the data.",
    "outbox_old": "Work in the background has been due for {waited_s} s. Does a service or a worker do jobs?",
    "jobs_fail": "{failed} jobs of the kind {job} failed. See: chatbill jobs list --state failed",
    "backup_old": "The age of the last good backup: {age}. See the log of the job back_up, and: chatbill backup list",
    "ledger_mismatch": "The ledger is not consistent: {differences} differences ({rules}). Run: chatbill ledger verify",
    "money_moved": "{amount} credits were moved by hand ({event}) in the wallet {wallet_id}.",
}
"""By the kind of the alert; the parameters are its evidence."""

_EVENTS: Final = {
    "granted": N_("a gift"),
    "adjusted": N_("an adjustment"),
    "refunded": N_("a refund"),
}

MONITORING: Final[dict[str, str]] = {
    "jobs_wait": "jobs have been due for {waited_s} s; does a service or a worker do them?",
    "jobs_failed": "{count} jobs failed; see: chatbill jobs list --state failed",
    "advice_queue": "{model} let requests wait for their turn in {waited_s} s of the last {of_s} s: its batch of "
    "{batch_size} was full. Raise CHATBILL_BATCH_SIZE if memory allows, or add a server.",
    "advice_timeouts": "{count} of {replies} replies of {model} were not complete in time ({error}). Raise "
    "CHATBILL_GENERATION_TIMEOUT_S, lower CHATBILL_MAX_REPLY_TOKENS, or use a faster machine.",
    "advice_failures": "{count} of {replies} replies of {model} failed, most with {error}. The log has the cause: "
    "GET /admin/logs?q=reply_failed",
    "advice_first_token": "5 % of the replies of {model} began after {p95_ms} ms or later. Long prompts take long to "
    "read: raise CHATBILL_PREFIX_CACHE_BYTES, or use a smaller model.",
    "advice_memory": "{free_bytes} of {total_bytes} bytes of memory are free. POST /performance/optimize/memory "
    "unloads idle models; with CHATBILL_LAZY_MODELS they are loaded when they are needed.",
    "advice_disk": "{free_bytes} of {total_bytes} bytes are free on the disk of the data. Make room, or move "
    "CHATBILL_DATA_DIR.",
}
"""Templates of descriptions."""


def alert_text(kind: str, evidence: Mapping[str, Param]) -> str:
    """Return the sentence of an alert; its kind for one of another version of the program."""
    try:
        return _(ALERTS[kind]).format_map({name: _word(name, value) for name, value in evidence.items()})
    except KeyError:
        return kind


def _word(name: str, value: Param) -> Param:
    """Return the words for a code in the evidence; the code itself where its words need more than the evidence has."""
    words: Mapping[str, object] = _EVENTS if name == "event" else MODELS if name == "reason" else {}
    template = words.get(str(value))
    return _(template) if isinstance(template, str) and "{" not in template else value
