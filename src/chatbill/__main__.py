"""`chatbill` and `python -m chatbill`: the command line, or one sentence that says what to install first."""

from __future__ import annotations

import sys
from importlib.util import find_spec

# One package of the `server` extra for each thing the command line needs at once.
NEEDED = ("click", "pydantic_settings", "structlog", "sqlalchemy")


def main() -> None:
    """Run the command line. Exits with 1 and a sentence when chatbill was installed without its service."""
    if any(find_spec(name) is None for name in NEEDED):
        sys.exit("Only chatbill's core is installed here; install the service with: pip install 'chatbill[server]'")
    from chatbill.entrypoints.cli.main import main as command_line  # noqa: PLC0415 - it imports what was looked for

    command_line()


if __name__ == "__main__":
    main()
