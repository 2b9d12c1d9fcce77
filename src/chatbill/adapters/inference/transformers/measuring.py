"""Check each model of a catalogue on this machine: whether it fits, and how fast it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.availability.server_check import ServerCheck
from chatbill.adapters.inference.availability.speed import Speed, measured
from chatbill.adapters.inference.catalogue.address import address_advice
from chatbill.adapters.inference.catalogue.model_spec import HubSource, ModelSpec, ServerSource, Weights
from chatbill.adapters.inference.local_engines import TRANSFORMERS, LocalEngines
from chatbill.adapters.inference.transformers.bandwidth import memory_bandwidth
from chatbill.adapters.inference.transformers.engine import TransformersEngine, torch_runtime
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import Device, MeasuredProduct, Runtime
from chatbill.adapters.inference.weights.files import ModelFiles
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import Engine
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError

_LOAD_LIMIT_S = 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedModel:
    """One model: its files, whether it fits, and its speed where that was asked for.

    `engine` is "transformers", "llama_cpp" or "server". `fault` says why it cannot be used. `key` says of a model on a
    server whether there is a key for it.
    `advice` is about its address. `int8` says how a CPU multiplies by its weights, where that was measured.
    """

    spec: ModelSpec
    files: ModelFiles
    fit: Fit
    engine: str = TRANSFORMERS
    speed: Speed | None = None
    fault: Description | None = None
    key: str = ""
    advice: str = ""
    int8: Sequence[MeasuredProduct] = ()

    @property
    def needs_token(self) -> bool:
        """True where the files are behind a licence that has to be accepted with an account."""
        return isinstance(self.spec.source, HubSource) and self.spec.source.gated

    def figures(self, text: Callable[[Description], str]) -> dict[str, Any]:
        """Return all of it for machines, with descriptions as `text` renders them. Sizes in bytes."""
        return {
            "id": self.spec.id,
            "engine": self.engine,
            "source": self.files.source,
            "licence": self.files.licence,
            "needs_token": self.needs_token,
            "weights": self.spec.weights.value if self.engine == TRANSFORMERS else None,
            "fetched": self.files.fetched,
            "elsewhere": self.files.elsewhere,
            "key": self.key or None,
            "advice": self.advice or None,
            "disk_bytes": self.files.disk_bytes,
            "download_bytes": self.files.download_bytes,
            "need_bytes": self.fit.need_bytes,
            "weights_bytes": self.fit.need.weights_bytes,
            "free_bytes": self.fit.free_bytes,
            "fits": self.fit.fits,
            "replies_at_once": self.fit.slots,
            "words": text(self.fit.description),
            "int8": [asdict(product) for product in self.int8] or None,
            "speed": asdict(self.speed) if self.speed else None,
            "trouble": text(self.fault) if self.fault else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """Check each model; with `run` it is loaded alone, or its server is asked, and it writes some tokens."""

    specs: Iterable[ModelSpec]
    library: ModelLibrary
    slots: int
    servers: ServerCheck
    llama_cpp: Callable[[ModelSpec], Engine]
    engines: LocalEngines
    runtime: Callable[[], Runtime] = torch_runtime
    bandwidth: Callable[[Device], float] = memory_bandwidth

    async def __call__(self, *, run: bool, tell: Callable[[CheckedModel], None]) -> bool:
        """Pass every model to `tell`, in the order of the catalogue; True when one fits and none has a fault."""
        specs = tuple(self.specs)
        files = {spec.id: self.library.status(spec) for spec in specs}
        engines = {spec.id: self.engines.engine_of(spec) or "server" for spec in specs}
        faults = {spec.id: self._fault(spec, files[spec.id]) for spec in specs}
        needs_torch = any(engines[spec.id] == TRANSFORMERS and not self.engines.fault_of(spec) for spec in specs)
        runtime = self.runtime() if needs_torch else None
        fits, works = False, True
        for spec in specs:
            by_torch = engines[spec.id] == TRANSFORMERS
            free = runtime.free_gpu_bytes() if runtime and by_torch else None
            fit = self.library.fits(spec, free_gpu_bytes=free, slots=self.slots)
            checked = CheckedModel(
                spec=spec, files=files[spec.id], fit=fit, engine=engines[spec.id], fault=faults[spec.id]
            )
            if isinstance(spec.source, ServerSource):
                checked = await self._on_server(checked, spec.source, run=run)
            elif run and not checked.fault:
                checked = await self._with_speed(checked, runtime if by_torch else None)
            tell(checked)
            fits, works = fits or checked.fit.fits, works and not checked.fault
        return fits and works

    async def _on_server(self, checked: CheckedModel, source: ServerSource, *, run: bool) -> CheckedModel:
        fault = await self.servers.fault(source)
        checked = replace(checked, key=self.servers.key_of(source), fault=fault, advice=address_advice(source.url))
        if fault or not run:
            return checked
        try:
            return replace(checked, speed=await self.servers.run(checked.spec))
        except ChatbillError as error:
            return replace(checked, fault=error.description)

    def _fault(self, spec: ModelSpec, files: ModelFiles) -> Description | None:
        if fault := self.engines.fault_of(spec):
            return Description.of("text", text=fault)
        return _file_fault(files)

    async def _with_speed(self, checked: CheckedModel, runtime: Runtime | None) -> CheckedModel:
        """Run the model; `runtime` is None for llama.cpp."""
        if not checked.files.fetched:
            if runtime is None:
                return checked
            weights = checked.fit.need.weights_bytes
            estimate = Speed(how="estimate", tokens_per_s=self.bandwidth(runtime.device) / weights) if weights else None
            return replace(checked, speed=estimate)
        if not checked.fit.fits:
            return checked
        try:
            engine = self._alone(checked.spec, runtime)
            try:
                speed = await measured(engine, checked.spec)
            finally:
                await engine.close()
        except ChatbillError as error:
            return replace(checked, fault=error.description)
        if runtime is None or runtime.device != "cpu" or checked.spec.weights is not Weights.INT8:
            return replace(checked, speed=speed)
        return replace(checked, speed=speed, int8=runtime.int8_products(self.library.root))

    def _alone(self, spec: ModelSpec, runtime: Runtime | None) -> Engine:
        """Return an engine with this model alone."""
        if runtime is None:
            return self.llama_cpp(spec)
        limits = ModelLimits(load_wait_s=_LOAD_LIMIT_S, probe_interval_s=0)
        specs = (replace(spec, lazy=True),)
        return TransformersEngine(specs, self.library, runtime=lambda: runtime, slots=1, limits=limits)


def _file_fault(files: ModelFiles) -> Description | None:
    if not files.fault:
        return None
    again = "; `chatbill models pull` fetches it again" if files.download_bytes else ""
    return Description.of("text", text=f"{files.folder} holds no model that can be loaded: {files.fault}{again}")
