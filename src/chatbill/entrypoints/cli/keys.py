"""`chatbill keys`: API keys of all users, for operators."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.list_keys_of_user import KeyRecord
from chatbill.application.administration.revoke_keys import RevokedKey, WhichKeys
from chatbill.container import Container
from chatbill.domain.accounts.api_keys import PREFIX
from chatbill.domain.shared.ids import ApiKeyId
from chatbill.entrypoints.cli.wiring import moment_text, run, settings_from
from chatbill.entrypoints.web.api_keys import ApiKeyView, beginning_of
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.texts import credits_text

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each key.")


@click.group()
def keys() -> None:
    """Manage API keys of all users, for operators. Users make and revoke their own keys in the page."""


@keys.command("list")
@click.argument("user")
@click.option("--all", "with_revoked", is_flag=True, help="List revoked keys too.")
@_as_json
def list_(user: str, *, with_revoked: bool, as_json: bool) -> None:
    """List the API keys of USER, a username or an e-mail address, with what each used this month (of UTC)."""
    found = run(
        settings_from(), lambda container: container.use_cases().administration.list_keys_of_user(user), upgrade=False
    )
    shown = [record for record in found if with_revoked or record.state.key.revoked_at is None]
    if as_json:
        for record in shown:
            click.echo(json.dumps(_figures(record)))
        return
    for record in shown:
        click.secho(f"{record.state.key.name}  ", bold=True, nl=False)
        click.echo(f"{beginning_of(record.state.key)}…\n    {_description(record)}")
    if not shown:
        click.echo(f"All API keys of {user} are revoked; --all lists them." if found else f"{user} has no API keys.")


@keys.command()
@click.argument("key", nargs=-1, callback=lambda _context, _param, texts: tuple(map(_id_in, texts)))
@click.option("--all-of", "owner", metavar="USER", help="All keys of this username or e-mail address.")
@click.option("--by", required=True, metavar="STAFF", help="The member of the staff who does it, for the record.")
@click.option("--reason", required=True, help="The reason for the record; the owner may be told.")
@_as_json
def revoke(key: tuple[ApiKeyId, ...], owner: str | None, by: str, reason: str, *, as_json: bool) -> None:
    """Revoke API keys at once and for ever, either all of those named or none.

    KEY is a whole key, or its beginning up to the second underscore (cb_…_), or its id between the two underscores. A
    running service rejects it from the next request on. Replies that it requested are finished.
    """
    if not key and owner is None:
        raise click.UsageError("Name a KEY, or a user with --all-of.")

    async def work(container: Container) -> list[RevokedKey]:
        principal = await container.use_cases().administration.find_administrator(by)
        return await container.use_cases().administration.revoke_keys(
            principal, WhichKeys(ids=key, owner=owner), AdminAction(reason=reason)
        )

    _print_revoked(run(settings_from(), work, upgrade=False), as_json=as_json)


def _print_revoked(revoked: Sequence[RevokedKey], *, as_json: bool) -> None:
    for each in revoked:
        if as_json:
            facts = {"id": each.key.id, "name": each.key.name, "owner": each.owner, "was_revoked": each.was_revoked}
            click.echo(json.dumps(facts))
        else:
            how = "was revoked before" if each.was_revoked else "is revoked"
            click.echo(f"{each.key.name} of {each.owner} {how}: {beginning_of(each.key)}…")
    if not revoked and not as_json:
        click.echo("There was no key to revoke.")


def _id_in(text: str) -> ApiKeyId:
    """Return the id in a key or in the beginning of one."""
    id_ = text.removeprefix(PREFIX).partition("_")[0] if text.startswith(PREFIX) else text
    if not could_be_id(id_):
        raise click.BadParameter(f"a key begins with {PREFIX}, an id, and an underscore")
    return ApiKeyId(id_)


def _figures(record: KeyRecord) -> dict[str, Any]:
    key = record.state.key
    figures = asdict(ApiKeyView.of(record.state))
    figures |= {"revoked_at": key.revoked_at, "revoked_by": record.revoked_by, "revoked_why": key.revoked_why}
    return {name: moment_text(value) if isinstance(value, datetime) else value for name, value in figures.items()}


def _description(record: KeyRecord) -> str:
    key = record.state.key
    used = record.state.used_this_month
    share = credits_text(used) if key.monthly_cap is None else f"{used:,} of {credits_text(key.monthly_cap)}"
    facts = [f"{share} this month"]
    facts.append(f"last used {_minute(key.last_used_at)}" if key.last_used_at else "never used")
    facts.append(f"made {_minute(key.created_at)}")
    if key.expires_at:
        facts.append(f"{'ends' if record.state.is_live else 'ended'} {_minute(key.expires_at)}")
    if key.revoked_at:
        by = f" by {record.revoked_by}" if record.revoked_by else ""
        why = f": {key.revoked_why}" if key.revoked_why else ""
        facts.append(f"revoked {_minute(key.revoked_at)}{by}{why}")
    return ", ".join(facts)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
