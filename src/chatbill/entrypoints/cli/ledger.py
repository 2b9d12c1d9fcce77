"""`chatbill ledger`: the proof of the books."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from chatbill.application.audit.verify_ledger import Verdict
from chatbill.domain.audit.proof import RULES, Difference
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.wiring import run, settings_from

UNREADABLE = 2
"""The exit code of a proof that could not be made: no difference was found, and none was ruled out."""

SWEEP = "; a running service ends it, and so does `chatbill ledger sweep`"


@click.group()
def ledger() -> None:
    """The proof of the books."""


@ledger.command()
def sweep() -> None:
    """End replies whose time is over and that nobody finished, free of charge. A running service does so by itself."""
    ended = run(settings_from(), lambda container: container.use_cases().maintenance.expire_holds(), upgrade=False)
    click.echo(f"Replies that were ended, and credits no longer held for them: {ended}.")


@ledger.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a difference, then one with the verdict.")
def verify(as_json: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Prove that the books agree with themselves.

    Exit code 0: they do; 1: they do not, with every difference; 2: they could not be read.
    """
    report = _report_json if as_json else _report_words
    try:
        verdict = run(
            settings_from(), lambda container: container.use_cases().audit.verify_ledger(report), upgrade=False
        )
    except ChatbillError as error:
        click.echo(f"chatbill: {error}", err=True)
        sys.exit(UNREADABLE)
    click.echo(json.dumps(_figures(verdict)) if as_json else _words(verdict))
    sys.exit(0 if verdict.agrees else 1)


def _report_json(difference: Difference) -> None:
    click.echo(json.dumps({"difference": asdict(difference)}))


def _report_words(difference: Difference) -> None:
    advice = SWEEP if difference.rule == "expiry" else ""
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


def _words(verdict: Verdict) -> str:
    tally = verdict.tally
    read = (
        f"Read {tally.wallets} wallets, {tally.entries} entries, "
        f"{tally.holds} holds ({tally.pending_holds} pending), {tally.charges} charges."
    )
    accounts = ", ".join(f"{account} {amount:+d}" for account, amount in sorted(tally.house.items()))
    sums = f"Credits: wallets {tally.owned:+d}{', ' if accounts else ''}{accounts}."
    if not verdict.agrees:
        return f"{read}\n{sums}\nThe books do NOT agree: {verdict.differences} differences, each named above."
    proved = "\n".join(f"  proved: {words}" for words in RULES.values())
    return f"{read}\n{sums}\n{proved}\nThe books agree."
