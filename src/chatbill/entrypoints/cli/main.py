"""The `chatbill` command: its subcommands, and the output of errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from chatbill import __version__
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.lazy import LazyGroup, Place

if TYPE_CHECKING:
    from chatbill.entrypoints.cli.serve import CreateService

_HERE: Final = "chatbill.entrypoints.cli"
COMMANDS: Final = {
    "admin": Place(f"{_HERE}.admin:admin", "Manage accounts of administrators."),
    "audit": Place(
        f"{_HERE}.audit:audit",
        "Print the audit trail, newest first: acts of the staff, and security events of all accounts.",
    ),
    "backup": Place(
        f"{_HERE}.backup:backup", "Make, list and try backups at CHATBILL_BACKUP_TO: a folder, or s3://BUCKET/PATH."
    ),
    "codes": Place(f"{_HERE}.codes:codes", "Make, list and withdraw codes that redeem credits."),
    "db": Place(f"{_HERE}.db:db", "Manage the schema of the database, backup and restore."),
    "doctor": Place(
        f"{_HERE}.doctor.command:doctor",
        "Look for what is wrong with the settings, the machine, the database, the backups and the proxy.",
    ),
    "jobs": Place(f"{_HERE}.jobs:jobs", "Show what is done in the background, and retry what failed."),
    "keys": Place(f"{_HERE}.keys:keys", "Manage API keys of all users, for operators."),
    "ledger": Place(f"{_HERE}.ledger:ledger", "Verify the ledger, and release expired holds."),
    "models": Place(f"{_HERE}.models:models", "Show sources, sizes, memory and speed of models."),
    "report": Place(f"{_HERE}.report:report", "Report use and money over a period, for operators."),
    "serve": Place(
        f"{_HERE}.serve:serve",
        "Upgrade the database, load the models, and serve the web page and the API until Ctrl-C or SIGTERM.",
    ),
    "users": Place(f"{_HERE}.users:users", "Manage accounts of users, for operators."),
    "worker": Place(
        f"{_HERE}.jobs:worker",
        "Do the jobs of the background until Ctrl-C or SIGTERM, beside services that have CHATBILL_RUN_JOBS=false.",
    ),
}
"""Every command, with the first sentence of its own help."""


@click.group(
    cls=LazyGroup,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="chatbill")
def chatbill() -> None:
    """Chat with language models, paid by prepaid credits with an audited ledger."""


def main(create_service: CreateService) -> None:
    """Run the command line. An error of chatbill's own is printed without a traceback, with exit code 1."""
    try:
        chatbill(obj=create_service)
    except ChatbillError as error:
        from chatbill.entrypoints.web.texts import render  # noqa: PLC0415 - few commands end in an error

        click.echo(f"chatbill: {render(error.description)}", err=True)
        sys.exit(1)
