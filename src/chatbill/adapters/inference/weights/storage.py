"""Put files and folders of models in place: one process at a time, in one step, and only where the disk has room."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress, Report


class Storage:
    """The folder with all models. Safe to share between processes.

    A model is made under another name and renamed when it is whole, so being killed at any moment leaves either the
    whole model or none. What a killed process left is removed before the next attempt.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self, name: str, report: Report) -> Iterator[None]:
        """Let one process at a time make what has this name; the system releases the lock of a process that ends."""
        # It is in the data folder, which is for its owner alone.
        self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.mkdir(exist_ok=True)
        report(Progress("wait"))
        with FileLock(self.root / f".{name}.lock"):
            yield

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Yield an empty folder on the same disk, which is removed afterwards. The caller must hold the lock."""
        prefix = f".making-{name}-"
        for left_over in self.root.glob(f"{prefix}*"):
            shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed; we hold its lock
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self.root, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)

    def partial(self, name: str) -> Path:
        """Return the folder of a download that a later attempt continues: its name is fixed."""
        return self.root / f".partial-{name}"

    def need_disk(self, size: int) -> None:
        """Raise `ModelNotFetched` unless so many bytes are free."""
        free = shutil.disk_usage(self.root).free
        if size > free:
            raise ModelNotFetched(
                f"{self.root} has {free / 1e9:.1f} GB free and this model needs {size / 1e9:.1f} GB; "
                "make room, or set CHATBILL_DATA_DIR to a larger disk.",
            )


def put_in_place(made: Path, target: Path) -> None:
    """Rename a whole file or folder to its final name. An older one there is removed: it is not whole."""
    if target.is_dir():
        shutil.rmtree(target)
    made.replace(target)


def file_name(text: str) -> str:
    """Return a text as the name of a file."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "--", text)


def run_script(script: Path, source: Path, target: Path) -> str:
    """Run `python SCRIPT SOURCE TARGET`; return why it failed, "" if it did not.

    It is a process of its own, so that its memory is freed and a crash ends only that process. It is run as a file and
    not as a module, because it must work however chatbill is installed.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", str(script), str(source), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if not done.returncode:
        return ""
    return next(iter(done.stderr.strip().splitlines()[-1:]), f"exit status {done.returncode}")
