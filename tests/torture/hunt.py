"""`python -m tests.torture.hunt ARGUMENTS` tries the source that it imports: the probe first, then pytest."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOTHING_WORKS = "nothing works any more"


def noticed() -> str:
    """Return what the probe saw, in one line."""
    logging.disable()
    try:
        from tests.torture.probe import probe  # noqa: PLC0415 - a bug may break the import

        with TemporaryDirectory() as folder:
            return asyncio.run(probe(Path(folder))).replace("\n", " ")
    except Exception:  # noqa: BLE001 - of any kind: it is a bug put in on purpose
        return NOTHING_WORKS
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    print(noticed(), flush=True)  # noqa: T201 - for the process that waits for it
    sys.exit(pytest.main(sys.argv[1:]))
