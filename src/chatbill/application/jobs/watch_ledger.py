"""Watch the ledger: verify it every night, and say loudly when it is not consistent."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from chatbill.application.audit.verify_ledger import Verdict, VerifyLedger
from chatbill.application.monitoring.record_findings import RecordFindings
from chatbill.domain.audit.proof import Difference
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.monitoring.alerts import AlertKind, Evidence, Finding

MAX_LOGGED = 20
"""Differences that are logged one by one. `chatbill ledger verify` prints all."""

LEDGER = "ledger"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLedger:
    """Audit everything. A ledger that is not consistent is no failure of the job, which would not mend it."""

    verify_ledger: VerifyLedger
    record: RecordFindings

    async def __call__(self, _job: Job) -> None:
        """Verify, log the verdict, and open or close the alert."""
        rules: Counter[str] = Counter()

        def report(difference: Difference) -> None:
            rules[difference.rule] += 1
            if rules.total() <= MAX_LOGGED:
                facts = {"rule": difference.rule, "subject": str(difference.subject), "detail": difference.detail}
                _log.error("ledger_difference", extra=facts)

        verdict = await self.verify_ledger(report)
        await self.record(LEDGER, [] if verdict.agrees else [_finding(verdict, rules)])
        if verdict.agrees:
            _log.info("ledger_verified", extra={"entries": verdict.tally.entries})
        else:
            _log.error("ledger_mismatch", extra={"differences": verdict.differences, "rules": dict(rules)})


def _finding(verdict: Verdict, rules: Counter[str]) -> Finding:
    evidence: Evidence = {"differences": verdict.differences, "rules": ", ".join(sorted(rules))[:200]}
    return Finding(kind=AlertKind.LEDGER_MISMATCH, subject="ledger", source=LEDGER, evidence=evidence)
