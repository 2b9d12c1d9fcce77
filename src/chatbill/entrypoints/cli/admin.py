"""`chatbill admin`: accounts of administrators."""

from __future__ import annotations

import sys

import click

from chatbill.application.accounts.register import Registration
from chatbill.domain.accounts.users import UserRole
from chatbill.entrypoints.cli.wiring import run, settings_from
from chatbill.entrypoints.web.texts import credits_text


@click.group()
def admin() -> None:
    """Manage accounts of administrators."""


@admin.command()
@click.option("--username", required=True, help="3 to 32 letters, digits, dots, dashes and underscores.")
@click.option("--email", required=True, help="E-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, up to its first line end.")
def create(username: str, email: str, password_stdin: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Make an account with the role admin. Asks for the password unless --password-stdin is given."""
    settings = settings_from()
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _prompt_for_password()
    registration = Registration(username=username, email=email, password=password, role=UserRole.ADMIN)
    account = run(settings, lambda container: container.use_cases().accounts.register(registration))
    click.echo(f"Administrator {account.username} was made, with {credits_text(account.balance)}.")


def _prompt_for_password() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
