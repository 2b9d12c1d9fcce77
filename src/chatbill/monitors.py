"""Make what measures and tells. Each part needs packages that few commands need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import chatbill
from chatbill.application.ports.metrics import Metrics, NoMetrics
from chatbill.application.ports.store import Store
from chatbill.logs import instance
from chatbill.settings import Settings, SettingsError

if TYPE_CHECKING:
    from chatbill.adapters.mail.alerts import AlertMailer
    from chatbill.adapters.mail.smtp import MailServer, SmtpMailer
    from chatbill.adapters.monitoring.machine import PsutilMachine
    from chatbill.adapters.monitoring.prometheus import PrometheusMetrics
    from chatbill.adapters.monitoring.sentry import SentryReporter
    from chatbill.adapters.monitoring.traces import Traces
    from chatbill.adapters.monitoring.webhook import Webhook

SERVICE: Final = "chatbill"
EXPORT_TIMEOUT_S: Final = 5.0
NEEDS: Final = "CHATBILL_{setting} needs more packages: pip install 'chatbill[{extra}]'"


def observed(store: Store, metrics: Metrics) -> Store:
    """Return the store with its use counted, unless nothing is."""
    if isinstance(metrics, NoMetrics):
        return store
    from chatbill.adapters.monitoring.observed_store import ObservedStore  # noqa: PLC0415

    return ObservedStore(store, metrics)


def is_read_by_prometheus(settings: Settings) -> bool:
    """Return whether a setting says where Prometheus reads the metrics."""
    return settings.metrics_port is not None or settings.metrics_token is not None


def make_prometheus() -> PrometheusMetrics:
    """Return the metrics of this process."""
    from chatbill.adapters.monitoring.prometheus import PrometheusMetrics  # noqa: PLC0415

    return PrometheusMetrics(version=chatbill.__version__)


def make_traces(settings: Settings) -> Traces | None:
    """Return what sends traces; None without an address. Raises `SettingsError` without its packages."""
    if settings.traces_url is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from chatbill.adapters.monitoring.traces import Traces  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(NEEDS.format(setting="TRACES_URL", extra="traces")) from error
    exporter = OTLPSpanExporter(endpoint=settings.traces_url, timeout=EXPORT_TIMEOUT_S)
    return Traces(
        BatchSpanProcessor(exporter),
        service=SERVICE,
        version=chatbill.__version__,
        instance=instance(),
        ratio=settings.traces_ratio,
    )


def make_error_reporter(settings: Settings) -> SentryReporter | None:
    """Return what reports errors to Sentry; None without its address. Raises `SettingsError`."""
    if settings.sentry_dsn is None:
        return None
    try:
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415

        from chatbill.adapters.monitoring.sentry import SentryReporter  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(NEEDS.format(setting="SENTRY_DSN", extra="sentry")) from error
    try:
        return SentryReporter(settings.sentry_dsn.get_secret_value(), release=chatbill.__version__, instance=instance())
    except BadDsn:
        raise SettingsError("CHATBILL_SENTRY_DSN is not an address of Sentry") from None


def together(*collectors: Metrics | None) -> Metrics:
    """Return metrics that go to those collectors that there are."""
    found = [each for each in collectors if each is not None]
    if len(found) < 2:  # noqa: PLR2004 - one needs nothing around it
        return found[0] if found else NoMetrics()
    from chatbill.adapters.monitoring.several import SeveralMetrics  # noqa: PLC0415

    return SeveralMetrics(*found)


def make_machine(settings: Settings) -> PsutilMachine:
    """Return what measures the machine, and the disk of the data."""
    from chatbill.adapters.monitoring.machine import PsutilMachine  # noqa: PLC0415

    return PsutilMachine(settings.data_dir)


def make_notifier(settings: Settings) -> Webhook | None:
    """Return the webhook for alerts; None without an address."""
    if settings.alert_webhook_url is None or settings.alert_webhook_secret is None:
        return None
    from chatbill.adapters.monitoring.webhook import Webhook  # noqa: PLC0415

    secret = settings.alert_webhook_secret.get_secret_value()
    return Webhook(settings.alert_webhook_url, secret, allow_private=settings.alert_webhook_private)


def make_mailer(settings: Settings) -> SmtpMailer | None:
    """Return what sends letters; None without a mail server."""
    server = _mail_server(settings)
    if server is None or settings.mail_from is None or settings.mail_base_url is None:
        return None
    from chatbill.adapters.mail.smtp import SmtpMailer  # noqa: PLC0415

    return SmtpMailer(server, sender=settings.mail_from, service=SERVICE, base=settings.mail_base_url)


def make_mail_probe(settings: Settings) -> Callable[[], Awaitable[None]] | None:
    """Return what connects to the mail server and sends nothing; None without a mail server."""
    server = _mail_server(settings)
    if server is None:
        return None
    from chatbill.adapters.mail.smtp import probe  # noqa: PLC0415

    return partial(probe, server)


def make_alert_mailer(settings: Settings) -> AlertMailer | None:
    """Return what sends alerts by mail; None without a mail server, or without recipients."""
    server = _mail_server(settings)
    if server is None or settings.mail_from is None or not settings.alert_mail_to:
        return None
    from chatbill.adapters.mail.alerts import AlertMailer  # noqa: PLC0415

    return AlertMailer(server, sender=settings.mail_from, service=SERVICE, recipients=settings.alert_mail_to)


def _mail_server(settings: Settings) -> MailServer | None:
    if settings.mail_host is None:
        return None
    from chatbill.adapters.mail.smtp import MailServer  # noqa: PLC0415

    return MailServer(
        host=settings.mail_host,
        port=settings.mail_port,
        tls=settings.mail_tls,
        username=settings.mail_username,
        password=settings.mail_password.get_secret_value() if settings.mail_password else None,
        timeout_s=settings.mail_timeout_s,
    )
