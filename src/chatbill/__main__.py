"""Runs the command line as `chatbill` or `python -m chatbill`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatbill.container import Container
    from chatbill.entrypoints.web.serving import Mode, Service
    from chatbill.settings import Settings

# Packages of the `server` extra that every command needs.
NEEDED = ("click", "pydantic_settings", "structlog", "sqlalchemy")


def main() -> None:
    """Run the command line. Exit with 1 and a message if chatbill was installed without the `server` extra."""
    if any(find_spec(name) is None for name in NEEDED):
        sys.exit("Only chatbill's core is installed here; install the service with: pip install 'chatbill[server]'")
    from chatbill.entrypoints.cli.main import main as command_line  # noqa: PLC0415 - it imports the packages above

    command_line(_create_service)


def _create_service(container: Container, settings: Settings, mode: Mode) -> Service:
    from chatbill.service import create_service  # noqa: PLC0415 - only `serve` needs it

    return create_service(container, settings, mode)


if __name__ == "__main__":
    main()
