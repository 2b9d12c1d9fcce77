"""`chatbill users`: the accounts of users, for operators."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from chatbill.application.accounts.links import IssuedLink
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.assembly import AdministrationUseCases
from chatbill.application.administration.create_user import CreatedUser, NewUser
from chatbill.application.administration.list_users import UserRecord
from chatbill.application.administration.update_user import UserChange
from chatbill.application.ports.repositories.users import UserFilter
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.container import Container
from chatbill.domain.accounts.users import AccountState, User, UserRole
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.cli.wiring import moment_text, run, settings_from
from chatbill.entrypoints.web.password_links import link_address
from chatbill.entrypoints.web.texts import credits_text

LARGE_ADJUSTMENT = 100_000
"""An adjustment of more credits than this is confirmed first."""

T = TypeVar("T")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each user.")
_by = click.option("--by", required=True, metavar="STAFF", help="The member of the staff who does it, for the record.")
_reason = click.option("--reason", required=True, help="The reason for the record.")
_url = click.option(
    "--url", help="Address of the web page, as in https://chat.example.org. Default: host and port here."
)


@click.group()
def users() -> None:
    """Manage accounts of users, for operators. USER is a username or an e-mail address."""


@users.command("list")
@click.option("--search", "text", help="Part of a username or an e-mail address.")
@click.option("--role", type=click.Choice([role.value for role in UserRole]))
@click.option("--state", type=click.Choice([state.value for state in AccountState]))
@_as_json
def list_(text: str | None, role: str | None, state: str | None, *, as_json: bool) -> None:
    """List users, the newest first."""
    filters = UserFilter(text=text, role=UserRole(role) if role else None, state=AccountState(state) if state else None)

    async def work(container: Container) -> None:
        list_users, cursor = container.use_cases().administration.list_users, None
        while True:
            page = await list_users.unchecked(filters, limit=MAX_PAGE, cursor=cursor)
            for record in page.items:
                _print(record, as_json=as_json)
            if (cursor := page.next_cursor) is None:
                return

    run(settings_from(), work, upgrade=False)


@users.command()
@click.argument("user")
@_as_json
def show(user: str, *, as_json: bool) -> None:
    """Show one user."""
    record = run(
        settings_from(), lambda container: container.use_cases().administration.show_user.unchecked(user), upgrade=False
    )
    _print(record, as_json=as_json)


@users.command()
@click.argument("user")
@_by
@_reason
def suspend(user: str, by: str, reason: str) -> None:
    """End the sessions of USER, refuse the API keys, and stop the running replies, until `activate`."""
    suspended = _update(user, UserChange(state=AccountState.SUSPENDED), by, reason)
    click.echo(f"{suspended.username} is suspended and signed out everywhere.")


@users.command()
@click.argument("user")
@_by
@_reason
def activate(user: str, by: str, reason: str) -> None:
    """Let USER sign in again. The API keys work again; old sessions do not."""
    activated = _update(user, UserChange(state=AccountState.ACTIVE), by, reason)
    click.echo(f"{activated.username} is active.")


@users.command()
@click.argument("user")
@click.argument("role", type=click.Choice([role.value for role in UserRole]))
@_by
@_reason
def role(user: str, role: str, by: str, reason: str) -> None:
    """Give USER another ROLE. It counts from the next request on."""
    changed = _update(user, UserChange(role=UserRole(role)), by, reason)
    click.echo(f"{changed.username} has the role {changed.role.value} now.")


@users.command()
@click.argument("username")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in UserRole]), default="user", show_default=True)
@_by
@_url
def create(username: str, email: str, role: str, by: str, url: str | None) -> None:
    """Open an account with the welcome credits, and print a link with which the person sets a password."""
    order = NewUser(username=username, email=email, role=UserRole(role))

    async def work(container: Container) -> CreatedUser:
        administration = container.use_cases().administration
        return await administration.create_user(await administration.find_administrator(by), order)

    created = run(settings_from(), work, upgrade=False)
    if created.link:
        _print_link(created.link, username, url)


@users.command()
@click.argument("user")
@_by
@_reason
@click.option("--yes", is_flag=True, help="Do not ask before.")
def erase(user: str, by: str, reason: str, *, yes: bool) -> None:
    """Erase names, password, sessions and texts of USER for good. The ledger and the figures stay."""
    if not yes:
        click.confirm(f"Erase {user} for good?", abort=True)
    order = AdminAction(reason=reason)
    _act(by, user, lambda administration, staff, id_: administration.erase_user(staff, id_, order))
    click.echo(f"{user} is erased.")


@users.command("sign-out")
@click.argument("user")
@_by
@_reason
def sign_out(user: str, by: str, reason: str) -> None:
    """End all sessions of USER. API keys stay."""
    order = AdminAction(reason=reason)
    ended = _act(by, user, lambda administration, staff, id_: administration.sign_out_user(staff, id_, order))
    click.echo(f"Sessions of {user} that were ended: {ended}.")


@users.command("password-link")
@click.argument("user")
@_by
@_reason
@_url
def password_link(user: str, by: str, reason: str, url: str | None) -> None:
    """Print a link with which USER sets a new password, once and within a day. Links made before stop working."""
    order = AdminAction(reason=reason)
    link = _act(by, user, lambda administration, staff, id_: administration.make_password_link(staff, id_, order))
    _print_link(link, user, url)


@users.command("remove-second-factor")
@click.argument("user")
@_by
@_reason
def remove_second_factor(user: str, by: str, reason: str) -> None:
    """Let USER, who lost the app and the recovery codes, sign in with the password alone."""
    order = AdminAction(reason=reason)
    changed = _act(by, user, lambda administration, staff, id_: administration.remove_second_factor(staff, id_, order))
    click.echo(f"{changed.username} signs in with the password alone now.")


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
    order = AdminAction(reason=reason)
    entry = _act(by, user, lambda administration, staff, id_: administration.adjust_credits(staff, id_, amount, order))
    click.echo(f"{user} has {credits_text(entry.balance_after)} now.")


def _update(login: str, change: UserChange, by: str, reason: str) -> User:
    order = AdminAction(reason=reason)
    return _act(by, login, lambda administration, staff, id_: administration.update_user(staff, id_, change, order))


def _act(by: str, login: str, work: Callable[[AdministrationUseCases, Principal, UserId], Awaitable[T]]) -> T:
    """Run an action on a user as this member of the staff."""

    async def act(container: Container) -> T:
        administration = container.use_cases().administration
        staff = await administration.find_administrator(by)
        return await work(administration, staff, (await administration.show_user.unchecked(login)).user.id)

    return run(settings_from(), act, upgrade=False)


def _print_link(link: IssuedLink, user: str, url: str | None) -> None:
    settings = settings_from()
    base = url or f"http://{settings.host}:{settings.port}{settings.root_path}"
    click.echo(link_address(base, link.token))
    click.echo(f"Send it to {user} in a safe way. It works until {link.expires_at:%Y-%m-%d %H:%M} UTC.", err=True)


def _print(record: UserRecord, *, as_json: bool) -> None:
    facts = _facts(record)
    if as_json:
        click.echo(json.dumps(facts))
        return
    held = f", {record.held:,} of them held" if record.held else ""
    seen = f", last seen {record.last_seen_at:%Y-%m-%d %H:%M} UTC" if record.last_seen_at else ""
    click.secho(f"{facts['username']}  ", bold=True, nl=False)
    click.echo(f"{facts['email']}, {facts['role']}, {facts['state']}")
    spent = f", {record.spent:,} spent" if record.spent else ""
    made = f", made {record.user.created_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"    {credits_text(record.balance)}{held}{spent}{made}{seen}")


def _facts(record: UserRecord) -> dict[str, Any]:
    user = record.user
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role.value,
        "state": user.state.value,
        "balance": record.balance,
        "held": record.held,
        "spent": record.spent,
        "created_at": moment_text(user.created_at),
        "last_seen_at": record.last_seen_at and moment_text(record.last_seen_at),
    }
