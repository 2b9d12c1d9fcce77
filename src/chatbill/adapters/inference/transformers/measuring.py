"""What each model of a catalogue would be like on this machine: does it fit, and how fast does it write?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from chatbill.adapters.inference.library import ModelFiles, ModelLibrary
from chatbill.adapters.inference.memory import Fit
from chatbill.adapters.inference.model_spec import HubSource, ModelSpec
from chatbill.adapters.inference.transformers.bandwidth import memory_bandwidth
from chatbill.adapters.inference.transformers.engine import TransformersEngine, torch_runtime
from chatbill.adapters.inference.transformers.health import LifeBounds
from chatbill.adapters.inference.transformers.runtime import Device, Runtime
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat import Role, Turn
from chatbill.domain.errors import ChatbillError, GenerationFailed

_QUESTION = Turn(Role.USER, "Tell me a long story about a fox who learns to sail. Describe the sea.")
_TOKENS = 48
_LOAD_LIMIT_S = 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a model writes one reply. `how` says whether that was seen or is only reckoned.

    An estimate is the most that the machine's memory allows, by reading all weights once for each token; most models
    stay below. Times in seconds, 0 where not measured.
    """

    how: Literal["measured", "estimate"]
    tokens_per_s: float
    first_token_s: float = 0.0
    load_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One model: its files, whether it fits, and its speed where that was asked for. `trouble` says what went wrong."""

    spec: ModelSpec
    files: ModelFiles
    fit: Fit
    speed: Speed | None = None
    trouble: str = ""

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
    """Look at each model, and unless told otherwise load it alone and have it write some tokens."""

    specs: Iterable[ModelSpec]
    library: ModelLibrary
    slots: int
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
            checked = Checked(spec=spec, files=files[spec.id], fit=fit)
            if run and runtime and not checked.files.elsewhere:
                checked = await self._with_speed(checked, runtime)
            tell(checked)
            fits, works = fits or checked.fit.fits, works and not checked.trouble
        return fits and works

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
        tokens = min(_TOKENS, spec.max_reply_tokens)
        request = GenerationRequest(model=spec.id, turns=(_QUESTION,), max_tokens=tokens, temperature=0.0)
        try:
            started = time.monotonic()
            generation = await engine.prepare(request)
            loaded = time.monotonic()
            seen = [(time.monotonic(), piece.tokens) async for piece in generation.stream()]
        finally:
            await engine.close()
        if not seen:
            raise GenerationFailed("The model wrote nothing.")
        first, last = seen[0][0], seen[-1][0]
        after_the_first = sum(tokens for _, tokens in seen[1:])
        return Speed(
            how="measured",
            tokens_per_s=after_the_first / (last - first) if after_the_first else 0.0,
            first_token_s=first - loaded,
            load_s=loaded - started,
        )
