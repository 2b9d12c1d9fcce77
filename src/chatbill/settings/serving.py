"""Settings: how the service listens, stops, logs and is watched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from chatbill.settings.root_path import checked_root_path
from chatbill.settings.types import Grace, LogLevel, Networks, Origins, Seconds, Times


class ServingSettings(BaseSettings):
    """How the service listens, stops, logs and is watched."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    trusted_proxies: Networks = Field(
        default=(),
        description="Reverse proxies whose `X-Forwarded-*` headers are trusted: addresses or networks, with commas.",
    )
    root_path: Annotated[str, AfterValidator(checked_root_path)] = Field(
        default="", description="Path below which a reverse proxy serves everything, as in `/chatbill`."
    )
    cors_origins: Origins = Field(
        default=(), description="Web pages of other origins that may call the API, as in `https://shop.example`."
    )
    receive_timeout_s: Seconds = Field(
        default=30, description="Longest time a client may take to send one request with its body, in seconds."
    )
    send_timeout_s: Seconds = Field(
        default=30,
        description="A client that reads less than 1 KiB a second for this time is disconnected, in seconds.",
    )
    max_connections: int = Field(
        default=800,
        ge=10,
        le=100_000,
        description="Most connections on which requests are answered at once; further requests are answered with 503.",
    )
    connections_per_address: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="The same for one address, which is that of the client behind a trusted proxy. Not set: half of "
        "all.",
    )
    temporary_chats: bool | None = Field(
        default=None,
        description="Whether the page offers temporary chats. Their replies are stored nowhere, so set `true` only if "
        "each browser stays at one process. Not set: with SQLite.",
    )
    drain_s: Grace = Field(
        default=5,
        description="How long the service still accepts requests after SIGTERM, while `/health/ready` says that it is "
        "stopping, in seconds.",
    )
    shutdown_grace_s: Grace = Field(
        default=10, description="How long running replies may go on when the service stops, in seconds."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Port on which Prometheus reads `/metrics` without a token; 0 picks a free one. Not set: none.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address on which the port of the metrics listens."
    )
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None,
        description="Token with which Prometheus reads `/metrics` on the port of the service; 16 characters or more.",
    )
    alert_webhook_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+")] | None = Field(
        default=None, description="Address to which alerts are sent, as signed JSON. Not set: they are not sent."
    )
    alert_webhook_secret: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None, description="Key of the signatures of alerts; 16 characters or more. Needed with the address."
    )
    alert_webhook_private: bool = Field(
        default=False, description="Whether the receiver of alerts may be in a private network."
    )
    alert_credits: Times = Field(
        default=10_000, description="Refunds and adjustments of as many credits open an alert; 0: none does."
    )
    traces_url: Annotated[str, Field(pattern=r"^https?://[^/\s@]+")] | None = Field(
        default=None,
        description="Address to which traces are sent (OTLP over HTTP), as in `http://localhost:4318/v1/traces`. Needs "
        "the extra `traces`. Not set: none are made.",
    )
    traces_ratio: float = Field(
        default=1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="The part of all requests that are traced, from 0 to 1.",
    )
    sentry_dsn: SecretStr | None = Field(
        default=None,
        description="Address of a project of Sentry, to which errors are reported. Needs the extra `sentry`.",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Logs for people or for machines.")
    log_level: LogLevel = Field(default="INFO", description="The least serious message that is logged.")
