"""The engine for models on other servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from chatbill.adapters.inference.availability.model_availability import UNKNOWN
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.openai.model import RemoteModel
from chatbill.adapters.inference.openai.server import Server, Timeouts
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelStatus
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId


class OpenAIEngine:
    """Answers with models of servers that have OpenAI's API; every spec has a `ServerSource`.

    `key` returns the key that a source names. At most `max_queued` requests wait for a model; one more is `Overloaded`.
    One owner may take `share_percent` of that queue.
    Models that wrote nothing for `probe_s` seconds (0: never) are asked for one token. Belongs to one event loop.
    """

    name = "openai"

    def __init__(
        self,
        specs: Iterable[ModelSpec],
        *,
        key: Callable[[str], str | None] = lambda _name: None,
        max_queued: int = 100,
        share_percent: int = 100,
        probe_s: float = 30.0,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        sources = [(spec, _source(spec)) for spec in specs]
        connections: Counter[tuple[str, str]] = Counter()
        for _, source in sources:
            connections[source.url, source.api_key_env] += source.concurrency + 1  # one for a probe beside the requests
        self._servers = {
            (url, variable): Server(url, key(variable) if variable else None, timeouts=timeouts, max_connections=most)
            for (url, variable), most in connections.items()
        }
        self._models = {
            spec.id: RemoteModel(
                spec,
                source,
                self._servers[source.url, source.api_key_env],
                max_queued=max_queued,
                share_percent=share_percent,
                probe_s=probe_s,
            )
            for spec, source in sources
        }

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the status of each model, by its latest replies and probes."""
        return {model: remote.status() for model, remote in self._models.items()}

    async def start(self) -> None:
        """Probe each model."""
        await asyncio.gather(*(remote.start() for remote in self._models.values()))

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take a place, and fit the prompt into the window; no request is sent yet."""
        remote = self._models.get(request.model)
        if remote is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        return await remote.prepare(request)

    async def close(self) -> None:
        """End all requests and close all connections."""
        await asyncio.gather(*(remote.close() for remote in self._models.values()))
        await asyncio.gather(*(server.close() for server in self._servers.values()))


def _source(spec: ModelSpec) -> ServerSource:
    if isinstance(spec.source, ServerSource):
        return spec.source
    raise TypeError(f"{spec.id} is not on a server")
