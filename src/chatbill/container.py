"""The container: makes the adapters and the use cases from the settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from chatbill.adapters.payments.sandbox import SandboxPayments
from chatbill.adapters.system import SystemClock, Uuid7Ids
from chatbill.application.assembly import assemble
from chatbill.application.ports.metrics import Metrics, NoMetrics
from chatbill.application.ports.rate_limits import RateLimits
from chatbill.application.ports.shared_cache import SharedCache
from chatbill.application.ports.signals import LocalSignals, Signals
from chatbill.backups import make_backup_key, make_database_backups, make_scheduled_backups
from chatbill.database import (
    DatabaseCopies,
    Schema,
    database_address,
    facts_of_database,
    make_probe_store,
    make_service_lock,
    make_store,
)
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.engines import build_engine, llama_cpp_alone, local_engines_of, server_check, specs_of
from chatbill.logs import log_buffer
from chatbill.monitors import (
    NEEDS,
    make_alert_mailer,
    make_error_reporter,
    make_machine,
    make_mail_probe,
    make_mailer,
    make_notifier,
    make_prometheus,
    make_traces,
)
from chatbill.policies import PASSWORDS_AT_ONCE, policy_of
from chatbill.settings import Settings, SettingsError


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let imports of these packages fail meanwhile, unless they were imported before. Later imports find them.

    A None in `sys.modules` does so: https://docs.python.org/3/reference/import.html#the-module-cache.
    """
    hidden: dict[str, Any] = {name: None for name in packages if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# dependency-injector can inject into web frameworks, which chatbill does not use, and imports all that are installed.
# Gradio brings FastAPI, so that every command would wait for it.
with _hidden("fast_depends", "fastapi", "starlette", "werkzeug"):
    from dependency_injector import containers, providers
    from dependency_injector.containers import DynamicContainer

if TYPE_CHECKING:
    # Each brings packages that a command without it should not wait for; see the functions below.
    from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
    from chatbill.adapters.inference.local_engines import LocalEngines
    from chatbill.adapters.inference.transformers.engine import ModelReport
    from chatbill.adapters.inference.transformers.measuring import ModelCheck
    from chatbill.adapters.inference.weights.library import ModelLibrary
    from chatbill.adapters.security.one_time_codes import TotpCodes
    from chatbill.adapters.security.passwords import Argon2Passwords
    from chatbill.adapters.security.sealed_secrets import SealedSecrets
    from chatbill.adapters.security.tokens import JwtTokens
    from chatbill.adapters.valkey.server import ValkeyServer


def _passwords() -> Argon2Passwords:
    from chatbill.adapters.security.passwords import Argon2Passwords  # noqa: PLC0415

    return Argon2Passwords(threads=PASSWORDS_AT_ONCE)


def _secret_key(settings: Settings) -> bytes:
    from chatbill.adapters.security.keyfile import read_or_make_key  # noqa: PLC0415

    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    return read_or_make_key(settings.secret_key_file)


def _older_keys(settings: Settings) -> list[bytes]:
    return [key.get_secret_value().encode() for key in settings.older_secret_keys]


def _tokens(key: bytes, older: list[bytes]) -> JwtTokens:
    from chatbill.adapters.security.tokens import JwtTokens  # noqa: PLC0415

    return JwtTokens(key, older=older)


def _secrets(key: bytes, older: list[bytes]) -> SealedSecrets:
    from chatbill.adapters.security.sealed_secrets import SealedSecrets  # noqa: PLC0415

    return SealedSecrets(key, older=older)


def _one_time_codes() -> TotpCodes:
    from chatbill.adapters.security.one_time_codes import TotpCodes  # noqa: PLC0415

    return TotpCodes()


def _shared_server(settings: Settings) -> ValkeyServer | None:
    """Return the server that processes share; None without its address. Raises `SettingsError`."""
    if settings.shared_url is None:
        return None
    try:
        from chatbill.adapters.valkey.server import ValkeyServer  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(NEEDS.format(setting="SHARED_URL", extra="shared")) from error
    try:
        return ValkeyServer(settings.shared_url.get_secret_value())
    except ValueError:
        raise SettingsError("CHATBILL_SHARED_URL is not an address such as valkey://:password@host:6379/0") from None


def _rate_limits(shared_server: ValkeyServer | None) -> RateLimits:
    from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits  # noqa: PLC0415

    own = MovingWindowRateLimits()
    if shared_server is None:
        return own
    from chatbill.adapters.valkey.rate_limits import ValkeyRateLimits  # noqa: PLC0415

    return ValkeyRateLimits(shared_server, own)


def _shared_cache(shared_server: ValkeyServer | None) -> SharedCache | None:
    if shared_server is None:
        return None
    from chatbill.adapters.valkey.cache import ValkeyCache  # noqa: PLC0415

    return ValkeyCache(shared_server)


def _signals(shared_server: ValkeyServer | None) -> Signals:
    if shared_server is None:
        return LocalSignals()
    from chatbill.adapters.valkey.signals import ValkeySignals  # noqa: PLC0415

    return ValkeySignals(shared_server)


def _payments(settings: Settings) -> SandboxPayments | None:
    return SandboxPayments() if settings.payment_provider == "sandbox" else None


def _catalogue(specs: tuple[ModelSpec, ...], settings: Settings) -> Catalogue:
    from chatbill.adapters.inference.catalogue.model_spec import domain_catalogue  # noqa: PLC0415

    return domain_catalogue(specs, settings.price_overrides())


def _library(settings: Settings, local_engines: LocalEngines) -> ModelLibrary:
    from chatbill.adapters.inference.weights.library import ModelLibrary  # noqa: PLC0415

    return ModelLibrary(settings.data_dir / "models", as_gguf=local_engines.is_gguf)


def _model_check(
    settings: Settings, specs: tuple[ModelSpec, ...], library: ModelLibrary, local_engines: LocalEngines
) -> ModelCheck:
    from chatbill.adapters.inference.transformers.measuring import ModelCheck  # noqa: PLC0415

    return ModelCheck(
        specs=specs,
        library=library,
        slots=settings.batch_size,
        servers=server_check(settings),
        engines=local_engines,
        llama_cpp=partial(llama_cpp_alone, settings, library),
    )


class _Ports:
    """The adapters of a container, each made when a feature first reads it."""

    def __init__(self, container: DynamicContainer) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return self._container.providers[name]()


class Container(containers.DeclarativeContainer):
    """Every provider of the service. Things with a state are made once; use cases are made from them.

    `settings` must be given. `report` hears how models come up, from other threads.
    """

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    report: providers.Provider[ModelReport] = providers.Object(lambda _model, _progress: None)

    clock = providers.Singleton(SystemClock)
    new_id = providers.Singleton(Uuid7Ids)
    database = providers.Singleton(database_address, settings)
    schema = providers.Factory(Schema, database, settings.provided.database_prefix)
    file_copies = providers.Factory(DatabaseCopies, database, settings.provided.database_prefix)
    database_backups = providers.Factory(make_database_backups, settings, database, clock)
    make_backup_key = providers.Callable(make_backup_key)
    backups = providers.Singleton(make_scheduled_backups, settings, database)
    database_facts = providers.Callable(facts_of_database, database)
    service_lock = providers.Factory(make_service_lock, database, settings.provided.database_prefix)
    prometheus = providers.Singleton(make_prometheus)
    traces = providers.Singleton(make_traces, settings)
    error_reporter = providers.Singleton(make_error_reporter, settings)
    metrics: providers.Provider[Metrics] = providers.Singleton(NoMetrics)
    machine = providers.Singleton(make_machine, settings)
    store = providers.Singleton(make_store, database, settings.provided.database_prefix, metrics)
    probe_store = providers.Singleton(make_probe_store, database, settings.provided.database_prefix, store)
    passwords = providers.Singleton(_passwords)
    secret_key = providers.Singleton(_secret_key, settings)
    older_keys = providers.Singleton(_older_keys, settings)
    tokens = providers.Singleton(_tokens, secret_key, older_keys)
    secrets = providers.Singleton(_secrets, secret_key, older_keys)
    one_time_codes = providers.Singleton(_one_time_codes)
    shared_server = providers.Singleton(_shared_server, settings)
    rate_limits = providers.Singleton(_rate_limits, shared_server)
    signals = providers.Singleton(_signals, shared_server)
    shared_cache = providers.Singleton(_shared_cache, shared_server)
    payments = providers.Singleton(_payments, settings)
    notifier = providers.Singleton(make_notifier, settings)
    alert_mailer = providers.Singleton(make_alert_mailer, settings)
    mailer = providers.Singleton(make_mailer, settings)
    mail_probe = providers.Callable(make_mail_probe, settings)
    logs = providers.Callable(log_buffer)

    local_engines = providers.Singleton(local_engines_of, settings)
    library = providers.Singleton(_library, settings, local_engines)
    specs = providers.Singleton(specs_of, settings, library)
    catalogue = providers.Singleton(_catalogue, specs, settings)
    model_check = providers.Factory(_model_check, settings, specs, library, local_engines)
    engine = providers.Singleton(build_engine, settings, catalogue, specs, library, local_engines, report, shared_cache)

    policy = providers.Singleton(policy_of, settings)
    __self__ = providers.Self()
    use_cases = providers.Singleton(assemble, providers.Singleton(_Ports, __self__), policy)
