"""Watch the ledger: verify it every night, and say loudly when it is not consistent."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.domain.audit.proof import Difference
from chatbill.domain.jobs.jobs import Job

MAX_LOGGED = 20
"""Differences that are logged one by one. `chatbill ledger verify` prints all."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLedger:
    """Audit everything. A ledger that is not consistent is no failure of the job, which would not mend it."""

    verify_ledger: VerifyLedger

    async def __call__(self, _job: Job) -> None:
        """Verify, and log the verdict."""
        rules: Counter[str] = Counter()

        def report(difference: Difference) -> None:
            rules[difference.rule] += 1
            if rules.total() <= MAX_LOGGED:
                facts = {"rule": difference.rule, "subject": str(difference.subject), "detail": difference.detail}
                _log.error("ledger_difference", extra=facts)

        verdict = await self.verify_ledger(report)
        if verdict.agrees:
            _log.info("ledger_verified", extra={"entries": verdict.tally.entries})
        else:
            _log.error("ledger_mismatch", extra={"differences": verdict.differences, "rules": dict(rules)})
