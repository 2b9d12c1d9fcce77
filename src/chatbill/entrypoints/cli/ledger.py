"""`chatbill ledger`: verifies the ledger, and releases expired holds."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from chatbill.application.audit.verify_ledger import Verdict
from chatbill.domain.audit.proof import RULES, Difference
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.wiring import run, settings_from
from chatbill.entrypoints.web.texts import render

UNREADABLE = 2
"""The exit code if the ledger could not be read, so that nothing is known about differences."""

SWEEP_ADVICE = "; a running service ends it, and so does `chatbill ledger sweep`"


@click.group()
def ledger() -> None:
    """Verify the ledger, and release expired holds."""


@ledger.command()
def sweep() -> None:
    """End unfinished replies whose time is over, free of charge. A running service does this by itself."""
    ended = run(settings_from(), lambda container: container.use_cases().maintenance.expire_holds(), upgrade=False)
    click.echo(f"Replies that were ended, and credits no longer held for them: {ended}.")


@ledger.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for each difference, then one with the verdict."
)
def verify(as_json: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Verify that the accounting records are consistent.

    Exit code 0: they are; 1: they are not, and every difference is printed; 2: they could not be read.
    """
    report = _report_json if as_json else _report_text
    try:
        verdict = run(
            settings_from(), lambda container: container.use_cases().audit.verify_ledger(report), upgrade=False
        )
    except ChatbillError as error:
        click.echo(f"chatbill: {render(error.description)}", err=True)
        sys.exit(UNREADABLE)
    click.echo(json.dumps(_figures(verdict)) if as_json else _summary(verdict))
    sys.exit(0 if verdict.agrees else 1)


def _report_json(difference: Difference) -> None:
    click.echo(json.dumps({"difference": asdict(difference)}))


def _report_text(difference: Difference) -> None:
    advice = SWEEP_ADVICE if difference.rule == "expiry" else ""
    click.echo(f"DIFFERENCE  {difference.subject}: {difference.detail}  (rule: {RULES[difference.rule]}{advice})")


def _figures(verdict: Verdict) -> dict[str, object]:
    tally = verdict.tally
    return {
        "agrees": verdict.agrees,
        "differences": verdict.differences,
        "rules": RULES,
        "wallets": tally.wallets,
        "entries": tally.entries,
        "holds": tally.holds,
        "pending_holds": tally.pending_holds,
        "charges": tally.charges,
        "accounts": {"wallets": tally.owned, **{str(account): amount for account, amount in tally.house.items()}},
    }


def _summary(verdict: Verdict) -> str:
    tally = verdict.tally
    read = (
        f"Read {tally.wallets} wallets, {tally.entries} entries, "
        f"{tally.holds} holds ({tally.pending_holds} pending), {tally.charges} charges."
    )
    accounts = ", ".join(f"{account} {amount:+d}" for account, amount in sorted(tally.house.items()))
    sums = f"Credits: wallets {tally.owned:+d}{', ' if accounts else ''}{accounts}."
    if not verdict.agrees:
        return f"{read}\n{sums}\nThe ledger is NOT consistent: {verdict.differences} differences, each named above."
    proved = "\n".join(f"  proved: {words}" for words in RULES.values())
    return f"{read}\n{sums}\n{proved}\nThe ledger is consistent."
