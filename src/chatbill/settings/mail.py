"""Settings: the mail server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from chatbill.settings.types import Mailboxes


class MailSettings(BaseSettings):
    """The mail server. Without one, nothing is sent, and administrators make links by hand."""

    mail_host: str | None = Field(default=None, max_length=253, description="Mail server. Not set: no mail is sent.")
    mail_port: int = Field(default=587, ge=1, le=65_535, description="Port of the mail server.")
    mail_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the connection is encrypted: `starttls` (port 587), `tls` (port 465), or `none`.",
    )
    mail_username: str | None = Field(default=None, description="Name at the mail server.")
    mail_password: SecretStr | None = Field(default=None, description="Password at the mail server.")
    mail_from: str | None = Field(
        default=None,
        pattern=r"^[!-?A-~]+@[!-?A-~]+$",
        max_length=254,
        description="Address from which mail is sent, in ASCII; needed with a mail server.",
    )
    alert_mail_to: Mailboxes = Field(
        default=(), description="Addresses to which alerts are sent by mail, in ASCII, with commas; at most 10."
    )
    mail_timeout_s: float = Field(default=10, ge=1, le=60, description="Most time to send one letter, in seconds.")
    mail_base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[!-~]+$",
        description="Address of the web page for links in letters, as in `https://chat.example.org`; needed with a "
        "mail server. It is never taken from a request.",
    )
    forgotten_passwords_per_hour: int = Field(
        default=20,
        ge=0,
        le=1_000_000,
        description="Links for a new password that one address may ask for in an hour; 0: no limit. All addresses "
        "together may ask for fifty times as many, and one account gets at most 3.",
    )
    welcome_after_verification: bool = Field(
        default=False,
        description="Whether new accounts get the welcome credits when their e-mail address is verified. Needs a mail "
        "server.",
    )
