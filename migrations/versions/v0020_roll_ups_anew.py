"""Sum all days anew: a roll-up has the figures of a day in a form that is read several times faster.

Compatible with: the programs of 0001 to 0019 run on after this step, but their reports do not understand the new sums,
nor the new program theirs. Where an old program ran on beside the new one, `chatbill report rebuild` makes all sums
anew. Going back sums all days anew too.

Locks: on PostgreSQL, the rows of one table change, which only reports read. On SQLite, writers wait for the step. Until
the service has summed the days again, reports read their raw rows, which takes longer.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

DAYS = """
INSERT INTO report_rollups (series, starts_at, key, figures)
SELECT DISTINCT 'due', starts_at, '', 'anew' FROM report_rollups AS summed
WHERE series IN ('usage.model', 'credits.model') AND NOT EXISTS (
    SELECT 1 FROM report_rollups AS marked WHERE marked.series = 'due' AND marked.starts_at = summed.starts_at
)
"""


def upgrade() -> None:
    mark_all_days()


def downgrade() -> None:
    mark_all_days()


def mark_all_days() -> None:
    op.execute(DAYS)
    op.execute("DELETE FROM report_rollups WHERE series <> 'due'")
