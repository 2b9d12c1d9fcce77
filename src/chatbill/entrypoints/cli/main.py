"""The `chatbill` command: its subcommands, and the output of errors."""

from __future__ import annotations

import sys

import click

from chatbill import __version__
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.admin import admin
from chatbill.entrypoints.cli.audit import audit
from chatbill.entrypoints.cli.backup import backup
from chatbill.entrypoints.cli.codes import codes
from chatbill.entrypoints.cli.db import db
from chatbill.entrypoints.cli.doctor.command import doctor
from chatbill.entrypoints.cli.jobs import jobs, worker
from chatbill.entrypoints.cli.keys import keys
from chatbill.entrypoints.cli.ledger import ledger
from chatbill.entrypoints.cli.models import models
from chatbill.entrypoints.cli.report import report
from chatbill.entrypoints.cli.serve import CreateService, serve
from chatbill.entrypoints.cli.users import users
from chatbill.entrypoints.web.texts import render


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="chatbill")
def chatbill() -> None:
    """Chat with language models, paid by prepaid credits with an audited ledger."""


for command in (serve, worker, jobs, models, admin, users, keys, codes, audit, ledger, report, db, backup, doctor):
    chatbill.add_command(command)


def main(create_service: CreateService) -> None:
    """Run the command line. An error of chatbill's own is printed without a traceback, with exit code 1."""
    try:
        chatbill(obj=create_service)
    except ChatbillError as error:
        click.echo(f"chatbill: {render(error.description)}", err=True)
        sys.exit(1)
