"""What each model of a catalogue would be like on this machine: does it fit, and how fast does it write?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.availability.server_check import ServerCheck
from chatbill.adapters.inference.availability.speed import Speed, measured
from chatbill.adapters.inference.catalogue.model_spec import HubSource, ModelSpec, ServerSource
from chatbill.adapters.inference.transformers.bandwidth import memory_bandwidth
from chatbill.adapters.inference.transformers.engine import TransformersEngine, torch_runtime
from chatbill.adapters.inference.transformers.health import LifeBounds
from chatbill.adapters.inference.transformers.runtime import Device, Runtime
from chatbill.adapters.inference.weights.library import ModelFiles, ModelLibrary
from chatbill.domain.shared.errors import ChatbillError

_LOAD_LIMIT_S = 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One model: its files, whether it fits, and its speed where that was asked for. `trouble` says what is wrong.

    `key` says of a model on a server whether there is a key for it.
    """

    spec: ModelSpec
    files: ModelFiles
    fit: Fit
    speed: Speed | None = None
    trouble: str = ""
    key: str = ""

    @property
    def needs_token(self) -> bool:
        """True where the files are behind a licence that has to be accepted with an account."""
        return isinstance(self.spec.source, HubSource) and self.spec.source.gated

    def figures(self) -> dict[str, Any]:
        """All of it for machines. Sizes in bytes."""
        return {
            "id": self.spec.id,
            "source": self.files.source,
            "licence": self.files.licence,
            "needs_token": self.needs_token,
            "weights": self.spec.weights.value,
            "fetched": self.files.fetched,
            "elsewhere": self.files.elsewhere,
            "key": self.key or None,
            "disk_bytes": self.files.disk_bytes,
            "download_bytes": self.files.download_bytes,
            "need_bytes": self.fit.need_bytes,
            "weights_bytes": self.fit.need.weights_bytes,
            "free_bytes": self.fit.free_bytes,
            "fits": self.fit.fits,
            "replies_at_once": self.fit.slots,
            "words": self.fit.words,
            "speed": asdict(self.speed) if self.speed else None,
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """Look at each model, and unless told otherwise load it alone, or ask its server, to have it write some tokens."""

    specs: Iterable[ModelSpec]
    library: ModelLibrary
    slots: int
    servers: ServerCheck
    runtime: Callable[[], Runtime] = torch_runtime
    bandwidth: Callable[[Device], float] = memory_bandwidth

    async def __call__(self, *, run: bool, tell: Callable[[Checked], None]) -> bool:
        """Tell of every model in the order of the catalogue; True when one fits and all that were run could be."""
        specs = tuple(self.specs)
        files = {spec.id: self.library.status(spec) for spec in specs}
        runtime = None if all(found.elsewhere for found in files.values()) else self.runtime()
        fits, works = False, True
        for spec in specs:
            free = runtime.free_gpu_bytes() if runtime else None
            fit = self.library.fits(spec, free_gpu_bytes=free, slots=self.slots)
            checked = Checked(spec=spec, files=files[spec.id], fit=fit, trouble=_what_is_wrong(files[spec.id]))
            if isinstance(spec.source, ServerSource):
                checked = await self._on_server(checked, spec.source, run=run)
            elif run and runtime and not checked.trouble:
                checked = await self._with_speed(checked, runtime)
            tell(checked)
            fits, works = fits or checked.fit.fits, works and not checked.trouble
        return fits and works

    async def _on_server(self, checked: Checked, source: ServerSource, *, run: bool) -> Checked:
        trouble = await self.servers.trouble(source)
        checked = replace(checked, key=self.servers.key_of(source), trouble=trouble)
        if trouble or not run:
            return checked
        try:
            return replace(checked, speed=await self.servers.run(checked.spec))
        except ChatbillError as error:
            return replace(checked, trouble=str(error))

    async def _with_speed(self, checked: Checked, runtime: Runtime) -> Checked:
        if not checked.files.fetched:
            weights = checked.fit.need.weights_bytes
            reckoned = Speed(how="estimate", tokens_per_s=self.bandwidth(runtime.device) / weights) if weights else None
            return replace(checked, speed=reckoned)
        if not checked.fit.fits:
            return checked
        try:
            return replace(checked, speed=await self._measured(checked.spec, runtime))
        except ChatbillError as error:
            return replace(checked, trouble=str(error))

    async def _measured(self, spec: ModelSpec, runtime: Runtime) -> Speed:
        """Raises `ModelUnavailable` or `GenerationFailed`."""
        bounds = LifeBounds(load_wait_s=_LOAD_LIMIT_S, probe_interval_s=0)
        specs = (replace(spec, lazy=True),)
        engine = TransformersEngine(specs, self.library, runtime=lambda: runtime, slots=1, bounds=bounds)
        try:
            return await measured(engine, spec)
        finally:
            await engine.close()


def _what_is_wrong(files: ModelFiles) -> str:
    if not files.fault:
        return ""
    again = "; `chatbill models pull` fetches it again" if files.download_bytes else ""
    return f"{files.folder} holds no model that can be loaded: {files.fault}{again}"
