"""Every setting of the service with its type, bounds, default and description."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chatbill.domain.billing.payments import Money, PriceList
from chatbill.domain.billing.prices import Price
from chatbill.domain.shared.ids import ModelId
from chatbill.settings.access import AccessSettings
from chatbill.settings.backups import BackupSettings
from chatbill.settings.credits import CreditSettings
from chatbill.settings.inference import InferenceSettings
from chatbill.settings.mail import MailSettings
from chatbill.settings.serving import ServingSettings
from chatbill.settings.storage import SQLITE_FILE, StorageSettings

PREFIX: Final = "CHATBILL_"


# pydantic takes the fields of the last base first.
class Settings(
    ServingSettings, MailSettings, AccessSettings, CreditSettings, InferenceSettings, BackupSettings, StorageSettings
):
    """The settings of an operator. The variable of a field is its name in capitals after `CHATBILL_`.

    `load_settings` reads the environment and explains errors; the constructor reads no environment.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="after")
    def _engine_has_its_server(self) -> Settings:
        if self.engine == "openai" and self.engine_url is None:
            raise ValueError(f"{PREFIX}ENGINE_URL must be set when {PREFIX}ENGINE is openai")
        return self

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Settings:
        if self.alert_webhook_url is not None and self.alert_webhook_secret is None:
            raise ValueError(f"{PREFIX}ALERT_WEBHOOK_SECRET must be set when {PREFIX}ALERT_WEBHOOK_URL is")
        return self

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Settings:
        if self.mail_host is not None and (self.mail_from is None or self.mail_base_url is None):
            raise ValueError(f"{PREFIX}MAIL_FROM and {PREFIX}MAIL_BASE_URL must be set when {PREFIX}MAIL_HOST is")
        if (self.mail_username is None) != (self.mail_password is None):
            raise ValueError(f"{PREFIX}MAIL_USERNAME and {PREFIX}MAIL_PASSWORD must be set together")
        if self.alert_mail_to and self.mail_host is None:
            raise ValueError(f"{PREFIX}MAIL_HOST must be set when {PREFIX}ALERT_MAIL_TO is")
        if self.welcome_after_verification and self.mail_host is None:
            raise ValueError(f"{PREFIX}MAIL_HOST must be set when {PREFIX}WELCOME_AFTER_VERIFICATION is true")
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
