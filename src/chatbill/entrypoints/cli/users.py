"""`chatbill users`: the accounts of users, for operators."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.assembly import AdministrationUseCases
from chatbill.application.administration.list_users import UserRecord
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.shared.principal import Principal
from chatbill.container import Container
from chatbill.entrypoints.cli.wiring import run, settings_from
from chatbill.entrypoints.web.password_links import link_address
from chatbill.entrypoints.web.texts import credits_text

LARGE_ADJUSTMENT = 100_000
"""An adjustment of more credits than this is confirmed first."""

T = TypeVar("T")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each user.")
_by = click.option("--by", required=True, metavar="ADMIN", help="The administrator for the record.")
_reason = click.option("--reason", required=True, help="The reason for the record.")


@click.group()
def users() -> None:
    """Manage accounts of users, for operators. USER is a username or an e-mail address."""


@users.command("list")
@_as_json
def list_(*, as_json: bool) -> None:
    """List all users, the newest first."""

    async def work(container: Container) -> None:
        list_users, after = container.use_cases().administration.list_users, None
        while page := await list_users(after=after):
            for record in page:
                _print(record, as_json=as_json)
            after = Position(page[-1].user.created_at, page[-1].user.id)

    run(settings_from(), work, upgrade=False)


@users.command()
@click.argument("user")
@_as_json
def show(user: str, *, as_json: bool) -> None:
    """Show one user."""
    record = run(settings_from(), lambda container: container.use_cases().administration.show_user(user), upgrade=False)
    _print(record, as_json=as_json)


@users.command()
@click.argument("user")
@_by
@_reason
def suspend(user: str, by: str, reason: str) -> None:
    """End the sessions of USER, refuse the API keys, and stop the running replies, until `activate`."""
    order = AdminAction(reason=reason)
    suspended = _act(by, lambda administration, admin: administration.suspend_user(admin, user, order))
    click.echo(f"{suspended.username} is suspended and signed out everywhere.")


@users.command()
@click.argument("user")
@_by
@_reason
def activate(user: str, by: str, reason: str) -> None:
    """Let USER sign in again. The API keys work again; old sessions do not."""
    order = AdminAction(reason=reason)
    activated = _act(by, lambda administration, admin: administration.activate_user(admin, user, order))
    click.echo(f"{activated.username} is active.")


@users.command("sign-out")
@click.argument("user")
@_by
@_reason
def sign_out(user: str, by: str, reason: str) -> None:
    """End all sessions of USER. API keys stay."""
    order = AdminAction(reason=reason)
    ended = _act(by, lambda administration, admin: administration.sign_out_user(admin, user, order))
    click.echo(f"Sessions of {user} that were ended: {ended}.")


@users.command("password-link")
@click.argument("user")
@_by
@_reason
@click.option("--url", help="Address of the web page, as in https://chat.example.org. Default: host and port here.")
def password_link(user: str, by: str, reason: str, url: str | None) -> None:
    """Print a link with which USER sets a new password, once and within a day. Links made before stop working."""
    order = AdminAction(reason=reason)
    link = _act(by, lambda administration, admin: administration.make_password_link(admin, user, order))
    settings = settings_from()
    base = url or f"http://{settings.host}:{settings.port}{settings.root_path}"
    click.echo(link_address(base, link.token))
    click.echo(f"Send it to {user} in a safe way. It works until {link.expires_at:%Y-%m-%d %H:%M} UTC.", err=True)


@users.command("credits")
@click.argument("user")
@click.argument("amount", type=int)
@_by
@_reason
@click.option("--yes", is_flag=True, help=f"Do not ask before an adjustment of more than {LARGE_ADJUSTMENT:,} credits.")
def credits_(user: str, amount: int, by: str, reason: str, *, yes: bool) -> None:
    """Add AMOUNT credits to the wallet of USER, or take some if it is negative: `credits ann --by root … -- -50`."""
    if abs(amount) > LARGE_ADJUSTMENT and not yes:
        click.confirm(f"Adjust the wallet of {user} by {credits_text(amount)}?", abort=True)

    async def work(administration: AdministrationUseCases, admin: Principal) -> int:
        record = await administration.show_user(user)
        entry = await administration.adjust_credits(admin, record.user.id, amount, AdminAction(reason=reason))
        return entry.balance_after

    balance = _act(by, work)
    click.echo(f"{user} has {credits_text(balance)} now.")


def _act(by: str, work: Callable[[AdministrationUseCases, Principal], Awaitable[T]]) -> T:
    """Run an action as this administrator."""

    async def act(container: Container) -> T:
        administration = container.use_cases().administration
        return await work(administration, await administration.find_administrator(by))

    return run(settings_from(), act, upgrade=False)


def _print(record: UserRecord, *, as_json: bool) -> None:
    facts = _facts(record)
    if as_json:
        click.echo(json.dumps(facts))
        return
    held = f", {record.held:,} of them held" if record.held else ""
    click.secho(f"{facts['username']}  ", bold=True, nl=False)
    click.echo(f"{facts['email']}, {facts['role']}, {facts['state']}")
    click.echo(f"    {credits_text(record.balance)}{held}, made {record.user.created_at:%Y-%m-%d %H:%M} UTC")


def _facts(record: UserRecord) -> dict[str, Any]:
    user = record.user
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role.value,
        "state": "active" if user.is_enabled else "suspended",
        "balance": record.balance,
        "held": record.held,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
    }
