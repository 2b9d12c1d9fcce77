"""Every setting of the service with its type, bounds, default and description."""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from chatbill.adapters.inference.catalogue.address import checked_address
from chatbill.domain.billing.payments import Money, PriceList
from chatbill.domain.billing.prices import Price
from chatbill.domain.shared.ids import ModelId
from chatbill.settings.money import DEFAULT_PACKAGES, Amount, Currency, PackageSetting, PriceSetting
from chatbill.settings.root_path import checked_root_path

PREFIX: Final = "CHATBILL_"
SQLITE_FILE: Final = "chatbill.sqlite3"
DATABASES: Final = ("sqlite", "postgresql")


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _database(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        scheme, separator, _ = url.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in DATABASES:
            raise ValueError("must begin with sqlite:/// or postgresql://, as in postgresql://user:password@host/name")
    return url


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("must be IP addresses or networks, as in 10.0.0.0/8,127.0.0.1") from None


def _home(path: Path) -> Path:
    return path.expanduser().absolute()


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]
Times = Annotated[int, Field(ge=0, le=1_000_000)]
# Lists are written with commas, not as JSON.
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")], ...], NoDecode, BeforeValidator(_listed)
]


class Settings(BaseSettings):
    """The settings of an operator. The variable of a field is its name in capitals after `CHATBILL_`.

    `load_settings` reads the environment and explains errors; the constructor reads no environment.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    # Storage
    data_dir: Annotated[Path, AfterValidator(_home)] = Field(
        default_factory=lambda: user_data_path("chatbill", appauthor=False),
        description="Folder for the database, the models and the signing key. Not set: the user's data folder.",
    )
    database_url: Annotated[SecretStr | None, AfterValidator(_database)] = Field(
        default=None, description=f"SQLite or PostgreSQL. Not set: the file `{SQLITE_FILE}` in the data folder."
    )

    database_prefix: str = Field(
        default="",
        # As `chatbill.adapters.persistence.sql.prefix`, which a test compares.
        pattern=r"^([a-z][a-z0-9_]{0,14}_)?$",
        description="Prefix of the names of chatbill's tables, such as `chatbill_`, for a database that an application "
        "also uses. Choose it before the first start.",
    )

    # Models
    models: str = Field(
        default="demo", min_length=1, description="`demo`, `gemma`, or the path of a catalogue file (TOML)."
    )
    prices: dict[str, PriceSetting] = Field(
        default={},
        description='Prices that replace the catalogue\'s, by model id, as JSON: `{"demo-mini": 2}` or with '
        "`per_reply`, `per_1k_prompt_tokens` and `per_1k_completion_tokens`, in credits.",
    )
    engine: Literal["transformers", "openai", "scripted"] = Field(
        default="transformers",
        description="The engine: models in this process, a server with OpenAI's API, or a test engine.",
    )
    engine_url: Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(checked_address)] | None = Field(
        default=None, description="Base address of the server for the `openai` engine, as in `http://host:8001/v1`."
    )
    engine_api_key: SecretStr | None = Field(default=None, description="API key for that server, if it requires one.")
    engine_concurrency: int = Field(
        default=32, ge=1, le=10_000, description="Requests that are sent to that server at once, for each model."
    )
    engine_silence_s: Seconds = Field(
        default=30, description="Longest time between two tokens of a model's server, in seconds."
    )
    generation_timeout_s: Seconds = Field(default=120, description="Longest time one reply may take, in seconds.")
    first_token_timeout_s: Seconds = Field(
        default=60,
        description="Longest time until a reply's first token, including the wait in the queue, in seconds.",
    )
    max_reply_tokens: int = Field(default=512, ge=1, le=131_072, description="Longest reply, in tokens.")
    max_message_chars: int = Field(default=32_000, ge=1, le=1_000_000, description="Longest message, in characters.")
    batch_size: int = Field(
        default=8, ge=1, le=256, description="Replies that one model writes at the same time; further replies wait."
    )
    lazy_models: bool = Field(
        default=False, description="Whether models are loaded by their first message instead of at start."
    )
    load_wait_s: Seconds = Field(
        default=60,
        description="Longest time a message waits for its model to be loaded before it is refused, in seconds.",
    )
    load_timeout_s: Seconds = Field(
        default=1_800,
        description="Longest time without progress while a model is loaded, in seconds; after it, loading fails.",
    )
    probe_interval_s: Grace = Field(
        default=30,
        description="Time without a token after which a model, local or on a server, is tested by a request for one "
        "token, in seconds; 0: never.",
    )
    stuck_after_s: Seconds = Field(
        default=120,
        description="Longest time without progress while a local model writes replies, in seconds; after it, the model "
        "is stopped and loaded again.",
    )
    queue_size: int = Field(
        default=100, ge=0, le=100_000, description="Requests that may wait for a model before others are refused."
    )

    cache_bytes: int = Field(
        default=16_777_216,
        ge=0,
        le=1 << 40,
        description="Memory for answers to repeated prompts, in bytes; 0: no answer is kept.",
    )
    cache_ttl_s: Seconds = Field(default=600, description="How long such an answer is kept, in seconds.")
    cache_shared: bool = Field(
        default=False, description="Whether a user may get the stored answer to the same prompt of another user."
    )

    # Credits and money
    cached_price_percent: int = Field(
        default=100, ge=0, le=100, description="Price of an answer to a repeated prompt, in percent of the full price."
    )
    welcome_credits: int = Field(default=100, ge=0, le=1_000_000_000, description="Credits of a new account.")
    hold_grace_s: Grace = Field(
        default=30, description="How long a hold outlives the reply's time limit before it is released, in seconds."
    )
    sweep_interval_s: Seconds = Field(default=5, description="How often expired holds are released, in seconds.")
    payments: Literal["auto", "none", "sandbox"] = Field(
        default="auto",
        description="The payment provider. `sandbox` takes no money and confirms every payment. With `none`, only "
        "administrators add credits. `auto` is `sandbox` with the demo models, and `none` with all others.",
    )
    packages: tuple[PackageSetting, ...] = Field(
        default=DEFAULT_PACKAGES,
        description="Credits on sale, as JSON; with `[]`, nothing is sold: "
        '`[{"id": "small", "credits": 100, "bonus": 0, "price": {"amount": "4.99", "currency": "USD"}}]`.',
    )
    credit_price: Amount = Field(
        default=Decimal("0.05"), decimal_places=6, description="Price of one credit, for a top-up without a package."
    )
    currency: Currency = Field(default="USD", description="Currency of the price of a credit (ISO 4217).")
    max_top_up_credits: int = Field(
        default=1_000_000, ge=1, le=1_000_000_000, description="Most credits in one top-up without a package."
    )

    max_debt_credits: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="Largest debt that an administrator's adjustment may leave in a wallet, in credits; 0: no debt.",
    )

    # Sign-in and limits
    secret_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="Key that signs access tokens; 32 characters or more. Not set: a key is made in the data folder.",
    )
    access_token_s: int = Field(default=3_600, ge=1, le=86_400, description="Lifetime of an access token, in seconds.")
    refresh_token_s: int = Field(
        default=2_592_000,
        ge=1,
        le=31_536_000,
        description="Lifetime of a sign-in, in seconds; after it, the user must sign in again.",
    )
    registration_open: bool = Field(default=True, description="Whether new accounts may be registered.")
    sign_in_failures: Times = Field(
        default=10, description="Failed sign-ins allowed to one name from one address in five minutes; 0: no limit."
    )
    messages_per_minute: Times = Field(default=600, description="Messages of one user per minute; 0: no limit.")
    replies_per_user: Times = Field(
        default=256, description="Most unfinished replies of one user at the same time; 0: no limit."
    )
    registrations_per_hour: Times = Field(
        default=100, description="Accounts that may be registered from one address per hour; 0: no limit."
    )
    refreshes_per_session: Times = Field(
        default=20, description="Refresh tokens that one sign-in may exchange in five minutes; 0: no limit."
    )
    refreshes_per_address: Times = Field(
        default=300, description="Refresh tokens that one address may send in five minutes; 0: no limit."
    )
    top_ups_per_hour: Times = Field(default=60, description="Purchases one user may make an hour; 0: no limit.")

    # Serving
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
    max_connections: int = Field(
        default=800,
        ge=10,
        le=100_000,
        description="Most connections of clients at once; further requests are answered with 503.",
    )
    shutdown_grace_s: Grace = Field(
        default=10, description="How long running replies may go on when the service stops, in seconds."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Logs for people or for machines.")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        default="INFO", description="The least serious message that is logged."
    )

    @model_validator(mode="after")
    def _engine_has_its_server(self) -> Settings:
        if self.engine == "openai" and self.engine_url is None:
            raise ValueError(f"{PREFIX}ENGINE_URL must be set when {PREFIX}ENGINE is openai")
        return self

    @property
    def database(self) -> str:
        """Return the address of the database, which may include its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / SQLITE_FILE).as_posix()}"

    @property
    def secret_key_file(self) -> Path:
        """Return the file of the signing key, which is used if none is set."""
        return self.data_dir / "secret.key"

    @property
    def payment_provider(self) -> Literal["none", "sandbox"]:
        """Return the payment provider that is used, which depends on the models if the setting is `auto`."""
        if self.payments == "auto":
            return "sandbox" if self.models == "demo" else "none"
        return self.payments

    def price_overrides(self) -> dict[ModelId, Price]:
        """Return the prices that replace those of the catalogue."""
        return {ModelId(model): price.to_domain() for model, price in self.prices.items()}

    def price_list(self) -> PriceList:
        """Return the prices of credits."""
        return PriceList(
            packages=tuple(package.to_domain() for package in self.packages),
            unit_price=Money(self.credit_price, self.currency),
            max_credits=self.max_top_up_credits,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names the arguments
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the arguments of the constructor, because `load_settings` reads the environment."""
        return (init_settings,)
