"""Make the engine for each model, from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chatbill.application.ports.engine import Engine
from chatbill.application.ports.shared_cache import SharedCache
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.settings import Settings, SettingsError, variable_value

if TYPE_CHECKING:
    # Importing these takes long, and not every command needs them.
    from chatbill.adapters.inference.availability.server_check import ServerCheck
    from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
    from chatbill.adapters.inference.local_engines import LocalEngines
    from chatbill.adapters.inference.transformers.engine import ModelReport
    from chatbill.adapters.inference.transformers.limits import ModelLimits
    from chatbill.adapters.inference.transformers.memory_manager import SharedMemory
    from chatbill.adapters.inference.weights.library import ModelLibrary

_OWN_KEY = "CHATBILL_ENGINE_API_KEY"


def specs_of(settings: Settings, library: ModelLibrary) -> tuple[ModelSpec, ...]:
    """Return the models of the catalogue; with the engine `openai`, all of them as models of its server.

    Raises `InvalidRequest` for a catalogue that cannot be read.
    """
    from chatbill.adapters.inference.catalogue.files import load_catalogue  # noqa: PLC0415

    specs = load_catalogue(settings.models)
    if settings.lazy_models:
        specs = tuple(replace(spec, lazy=True) for spec in specs)
    if settings.engine != "openai":
        return specs
    return tuple(_on_the_server(spec, settings, library) for spec in specs)


def build_engine(
    settings: Settings,
    catalogue: Catalogue,
    specs: tuple[ModelSpec, ...],
    library: ModelLibrary,
    local_engines: LocalEngines,
    report: ModelReport,
    shared_cache: SharedCache | None,
) -> Engine:
    """Return one engine for all models, with a cache in front of it unless the settings turn it off.

    Raises `SettingsError` if a package is missing that a model needs.
    """
    engine: Engine
    if settings.engine == "scripted":
        from chatbill.adapters.inference.scripted import ScriptedEngine  # noqa: PLC0415

        engine = ScriptedEngine(catalogue)
        if "batch_size" in settings.model_fields_set:
            engine = ScriptedEngine(
                catalogue,
                slots=settings.batch_size,
                max_queued=settings.queue_size,
                share_percent=settings.queue_share_percent,
            )
    else:
        engine = _models(settings, specs, library, local_engines, report)
    if thinking := {spec.id: spec.thinking for spec in specs if spec.thinking}:
        from chatbill.adapters.inference.thinking import ThinkingEngine  # noqa: PLC0415

        engine = ThinkingEngine(engine, thinking)
    return _cached(engine, settings, specs, shared_cache) if settings.cache_bytes else engine


def _cached(
    engine: Engine, settings: Settings, specs: tuple[ModelSpec, ...], shared_cache: SharedCache | None
) -> Engine:
    from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache  # noqa: PLC0415

    return CachingEngine(
        engine,
        ReplyCache(max_bytes=settings.cache_bytes, ttl_s=settings.cache_ttl_s),
        # The test engine has no temperature of its own, so its replies are not cached.
        temperatures={} if settings.engine == "scripted" else {spec.id: spec.sampling.temperature for spec in specs},
        identities={
            spec.id: repr((spec.source, spec.weights, spec.sampling, spec.thinking, spec.served_name)) for spec in specs
        },
        shared=settings.cache_shared,
        others=shared_cache,
    )


def server_check(settings: Settings) -> ServerCheck:
    """Return the check of models on servers, which asks them as the service does."""
    from chatbill.adapters.inference.availability.server_check import ServerCheck  # noqa: PLC0415

    return ServerCheck(
        engine=lambda spec: _servers(settings, (spec,)),
        has_key=lambda name: bool(settings.engine_api_key if name == _OWN_KEY else variable_value(name)),
        optional_key=_OWN_KEY,
    )


def local_engines_of(settings: Settings) -> LocalEngines:
    """Return the choice of engines for models of this machine."""
    from chatbill.adapters.inference.local_engines import LocalEngines  # noqa: PLC0415

    return LocalEngines(setting="transformers" if settings.engine == "transformers" else settings.local_engine)


def llama_cpp_alone(settings: Settings, library: ModelLibrary, spec: ModelSpec) -> Engine:
    """Return an engine that runs one model by llama.cpp and writes one reply at a time, to measure it."""
    return _llama_cpp(
        settings.model_copy(update={"batch_size": 1, "load_wait_s": settings.load_timeout_s}),
        (replace(spec, lazy=True),),
        library,
        lambda _model, _step: None,
    )


def _models(
    settings: Settings,
    specs: tuple[ModelSpec, ...],
    library: ModelLibrary,
    local_engines: LocalEngines,
    report: ModelReport,
) -> Engine:
    """Return the engine for these models. It combines several if not all models are run in the same way."""
    if faults := [fault for spec in specs if (fault := local_engines.fault_of(spec))]:
        raise SettingsError(faults[0])
    by_engine: dict[str, tuple[ModelSpec, ...]] = {}
    for spec in specs:
        name = local_engines.engine_of(spec) or "server"
        by_engine[name] = (*by_engine.get(name, ()), spec)
    shared = _shared_memory(local_engines) if {"llama_cpp", "transformers"} <= by_engine.keys() else None
    make: dict[str, Callable[[tuple[ModelSpec, ...]], Engine]] = {
        "server": lambda some: _servers(settings, some),
        "llama_cpp": lambda some: _llama_cpp(settings, some, library, report, shared),
        "transformers": lambda some: _transformers(settings, some, library, report, shared),
    }
    made = {name: make[name](some) for name, some in by_engine.items()}
    if len(made) == 1:
        return next(iter(made.values()))
    from chatbill.adapters.inference.routing import RoutedEngine  # noqa: PLC0415

    engines = {spec.id: made[name] for name, some in by_engine.items() for spec in some}
    return RoutedEngine(engines, order=[spec.id for spec in specs])


def _shared_memory(local_engines: LocalEngines) -> SharedMemory | None:
    """Return the memory of both local engines; None where one of them uses a GPU, and the other RAM."""
    from chatbill.adapters.inference.transformers.memory_manager import SharedMemory  # noqa: PLC0415

    return None if local_engines.has_gpu() else SharedMemory()


def _transformers(
    settings: Settings,
    specs: tuple[ModelSpec, ...],
    library: ModelLibrary,
    report: ModelReport,
    shared: SharedMemory | None,
) -> Engine:
    from chatbill.adapters.inference.transformers.engine import TransformersEngine  # noqa: PLC0415

    return TransformersEngine(
        specs,
        library,
        slots=settings.batch_size,
        max_queued=settings.queue_size,
        share_percent=settings.queue_share_percent,
        limits=_limits(settings),
        shared=shared,
        report=report,
    )


def _llama_cpp(
    settings: Settings,
    specs: tuple[ModelSpec, ...],
    library: ModelLibrary,
    report: ModelReport,
    shared: SharedMemory | None = None,
) -> Engine:
    from chatbill.adapters.inference.llama_cpp import GgufModel, LlamaCppEngine  # noqa: PLC0415

    return LlamaCppEngine(
        [GgufModel(spec=spec, gguf=partial(library.ensure, spec, partial(report, spec.id))) for spec in specs],
        slots=settings.batch_size,
        max_queued=settings.queue_size,
        share_percent=settings.queue_share_percent,
        limits=_limits(settings),
        shared=shared,
        first_token_s=settings.first_token_timeout_s,
        whole_s=settings.generation_timeout_s,
        report=report,
    )


def _limits(settings: Settings) -> ModelLimits:
    from chatbill.adapters.inference.transformers.limits import ModelLimits  # noqa: PLC0415

    return ModelLimits(
        load_wait_s=settings.load_wait_s,
        load_timeout_s=settings.load_timeout_s,
        probe_interval_s=settings.probe_interval_s,
        stuck_after_s=settings.stuck_after_s,
        prefix_bytes=settings.prefix_cache_bytes,
        prefix_ttl_s=settings.prefix_cache_ttl_s,
    )


def _servers(settings: Settings, specs: tuple[ModelSpec, ...]) -> Engine:
    from chatbill.adapters.inference.openai import OpenAIEngine, Timeouts  # noqa: PLC0415

    return OpenAIEngine(
        specs,
        key=lambda name: _key(settings, name),
        max_queued=settings.queue_size,
        share_percent=settings.queue_share_percent,
        probe_s=settings.probe_interval_s,
        timeouts=Timeouts(
            first_token_s=settings.first_token_timeout_s,
            between_tokens_s=settings.engine_silence_s,
            whole_s=settings.generation_timeout_s,
        ),
    )


def _key(settings: Settings, name: str) -> str | None:
    if name == _OWN_KEY:
        return settings.engine_api_key.get_secret_value() if settings.engine_api_key else None
    if (key := variable_value(name)) is None:
        raise SettingsError(f"{name} is not set; the catalogue {settings.models} names it as `api_key_env`.")
    return key


def _on_the_server(spec: ModelSpec, settings: Settings, library: ModelLibrary) -> ModelSpec:
    """Return the model with the server of the settings as its source, and its local tokenizer if there is one."""
    from chatbill.adapters.inference.catalogue.model_spec import ServerSource  # noqa: PLC0415

    if isinstance(spec.source, ServerSource):
        return spec
    tokenizer = None if spec.is_only_gguf else library.folder(spec) / "tokenizer.json"
    source = ServerSource(
        url=settings.engine_url or "",
        api_key_env=_OWN_KEY,
        tokenizer=tokenizer if tokenizer and tokenizer.is_file() else None,
        concurrency=settings.engine_concurrency,
    )
    return replace(spec, source=source)
