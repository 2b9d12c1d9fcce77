"""`chatbill audit`: the audit trail."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import click

from chatbill.application.administration.list_audit_trail import NamedRecord
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.container import Container
from chatbill.domain.shared.audit_trail import AuditAction, Facts
from chatbill.entrypoints.cli.wiring import MOMENT, moment_text, run, settings_from


@click.command()
@click.option("--actor", metavar="USER", help="Only acts of this username or e-mail address.")
@click.option("--on", "subject", metavar="USER", help="Only acts on this username or e-mail address.")
@click.option("--subject", "subject_id", metavar="ID", help="Only acts on what has this id, such as a session.")
@click.option("--action", type=click.Choice([action.value for action in AuditAction]), help="Only this action.")
@click.option("--from", "start", type=MOMENT, help="The earliest moment, in UTC.")
@click.option("--to", "end", type=MOMENT, help="The moment to stop before, in UTC.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The most records.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each record.")
def audit(
    actor: str | None,
    subject: str | None,
    subject_id: str | None,
    action: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Print the audit trail, newest first: acts of the staff, and security events of all accounts."""
    period = Period(start=start and start.replace(tzinfo=UTC), end=end and end.replace(tzinfo=UTC))
    filters = AuditFilter(action=AuditAction(action) if action else None, subject=subject_id, period=period)

    async def work(container: Container) -> None:
        administration, chosen, cursor, left = container.use_cases().administration, filters, None, limit
        if actor:
            chosen = replace(chosen, actor=(await administration.show_user.unchecked(actor)).user.id)
        if subject:
            chosen = replace(chosen, subject=(await administration.show_user.unchecked(subject)).user.id)
        while left:
            page = await administration.list_audit_trail.unchecked(chosen, limit=min(left, MAX_PAGE), cursor=cursor)
            for named in page.items:
                click.echo(json.dumps(_figures(named)) if as_json else _line(named))
            left, cursor = left - len(page.items), page.next_cursor
            if cursor is None:
                return

    run(settings_from(), work, upgrade=False)


def _figures(named: NamedRecord) -> dict[str, object]:
    record = named.record
    return {
        "id": record.id,
        "at": moment_text(record.at),
        "action": record.action.value,
        "actor": record.actor,
        "actor_name": named.actor_name,
        "subject": record.subject_id,
        "subject_kind": record.subject_kind,
        "address": record.address,
        "request_id": record.request_id,
        "before": dict(record.before),
        "after": dict(record.after),
        "reason": record.reason,
    }


def _line(named: NamedRecord) -> str:
    record = named.record
    words = [f"{record.at:%Y-%m-%d %H:%M:%S}", f"{record.action.value:<26}", named.actor_name or "-"]
    if record.subject_id:
        words.append(f"on {record.subject_kind} {record.subject_id}")
    if record.address:
        words.append(f"from {record.address}")
    changes = " -> ".join(filter(None, map(_facts, (record.before, record.after))))
    details = "; ".join(filter(None, (changes, record.reason)))
    return "  ".join(words) + (f"\n    {details}" if details else "")


def _facts(facts: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
