"""The bugs that are put into reports, one at a time, and the tests that must catch each."""

from __future__ import annotations

from tests.torture.seeding import Edit, Mutant

LOTS = "src/chatbill/domain/billing/lots.py"
FINANCE = "src/chatbill/domain/reports/finance.py"
TIMES = "src/chatbill/domain/reports/times.py"
PERIODS = "src/chatbill/domain/reports/periods.py"
COUNTING = "src/chatbill/application/reports/counting.py"
READING = "src/chatbill/application/reports/reading.py"
ROLL_UP = "src/chatbill/application/reports/roll_up.py"
REPORT = "src/chatbill/application/reports/financial_report.py"
EVENTS = "src/chatbill/application/maintenance/forget_events.py"

EXPORTS = "src/chatbill/application/reports/export_jobs.py"
SENTRY = "src/chatbill/adapters/monitoring/sentry.py"

T_EXPORTS = "tests/entrypoints/http/reports/test_background_exports.py"
T_LOTS = "tests/domain/billing/test_lots.py"
T_TIMES = "tests/domain/reports/test_times.py"
T_PERIODS = "tests/domain/reports/test_periods.py"
T_REPORTS = "tests/application/reports/test_reports.py"
T_FIGURES = f"{T_REPORTS}::test_every_figure_is_the_one_of_the_raw_rows"
T_BUSY = f"{T_REPORTS}::test_figures_of_a_busy_week_are_those_of_the_raw_rows"

REPORT_MUTANTS = (
    Mutant(
        "the newest purchase is spent first",
        (Edit(LOTS, "for lot in lots.purchases:\n        now", "for lot in reversed(lots.purchases):\n        now"),),
        (T_LOTS,),
    ),
    Mutant(
        "the bonus of a purchase counts as paid",
        (Edit(LOTS, "paid = payment.credits - payment.bonus", "paid = payment.credits"),),
        (T_LOTS,),
    ),
    Mutant(
        "a debt is not settled by paid credits",
        (Edit(LOTS, "debt = min(max(-lots.free, 0), lots.paid)", "debt = 0"),),
        (T_LOTS,),
    ),
    Mutant(
        "credits given back are free ones",
        (
            Edit(
                LOTS,
                "lots, rest = _put(lots, number, now), rest - now",
                "lots, rest = _put(lots, FREE, now), rest - now",
            ),
        ),
        (T_LOTS, T_FIGURES),
    ),
    Mutant(
        "a refund forgets what an earlier one has given back",
        (
            Edit(
                COUNTING,
                "if hold_id is not None and left != before:",
                "if entry.kind is EntryKind.CHARGE and hold_id:",
            ),
        ),
        (f"{T_REPORTS}::test_two_refunds_of_one_charge_give_back_each_credit_once",),
    ),
    Mutant(
        "a day is read from its roll-up although something new came",
        (Edit(READING, "        if due_from < due_to:\n", "        if False:\n"),),
        (T_REPORTS,),
    ),
    Mutant(
        "the edges of a period are not read",
        (Edit(READING, "    if last < end:\n        yield", "    if False:\n        yield"),),
        (T_BUSY,),
    ),
    Mutant(
        "events are marked as read before their days are marked as due",
        (Edit(ROLL_UP, 'tx.reports.put_rollup(RollUpRow(DUE, day, "", last))', "pass"),),
        (T_REPORTS,),
    ),
    Mutant(
        "a roll-up is added to the one that is there",
        (
            Edit(
                ROLL_UP, "                tx.reports.remove_rollups(series, day, day + DAY)\n", "                pass\n"
            ),
        ),
        (T_REPORTS,),
    ),
    Mutant(
        "events are forgotten before they were rolled up",
        (Edit(EVENTS, "before = min(before, unread[0].event.at - MARGIN)", "pass"),),
        (f"{T_REPORTS}::test_events_are_kept_until_they_are_rolled_up",),
    ),
    Mutant(
        "a month opens with what it closed with",
        (Edit(REPORT, "        so_far.merge(figures)\n", ""),),
        (T_FIGURES,),
    ),
    Mutant(
        "a returned payment counts as an adjustment",
        (
            Edit(
                FINANCE,
                "case EntryKind.ADJUSTMENT if payment is not None:\n                figures.refunded",
                "case EntryKind.ADJUSTMENT if payment is None:\n                figures.refunded",
            ),
        ),
        (T_FIGURES,),
    ),
    Mutant(
        "a percentile is the time below it",
        (Edit(TIMES, "[-(-part * len(ordered) // 100) - 1]", "[part * len(ordered) // 100 - 1]"),),
        (T_TIMES,),
    ),
    Mutant(
        "a time that occurs twice is kept once",
        (Edit(TIMES, "if count <= RARE for _ in range(count))", "if count <= RARE)"),),
        (T_TIMES,),
    ),
    Mutant(
        "quarters of an hour beside a piece of a period are read",
        (Edit(READING, "            if piece.start <= at < piece.end:\n", "            if piece.start <= at:\n"),),
        (T_REPORTS,),
    ),
    Mutant(
        "an export is written for a person who may not read it any more",
        (Edit(EXPORTS, "        require_permission(principal, NEEDED[Wanted.of(job).what])\n", ""),),
        (T_EXPORTS,),
    ),
    Mutant(
        "the text of an error is reported",
        (Edit(SENTRY, '{"type": type(each).__name__,', '{"type": type(each).__name__, "value": str(each),'),),
        ("tests/entrypoints/http/monitoring/test_collectors.py",),
    ),
    Mutant(
        "every day has 24 hours",
        (Edit(PERIODS, "ends = min(midnight(following, self.zone), self.end)", "ends = min(starts + DAY, self.end)"),),
        (T_PERIODS,),
    ),
    Mutant(
        "the last day is left out",
        (
            Edit(
                PERIODS,
                'else _moment("to", end, zone, days=1)\n        if start',
                'else _moment("to", end, zone, days=0)\n        if start',
            ),
        ),
        (T_PERIODS,),
    ),
)
