"""Settings: sign-in and the limits of each person and address."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from chatbill.settings.types import Keys, Times


class AccessSettings(BaseSettings):
    """Sign-in and the limits of each person and address."""

    secret_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="Key that signs access tokens; 32 characters or more, without commas if it will be replaced. Not "
        "set: a key is made in the data folder.",
    )
    older_secret_keys: Keys = Field(
        default=(),
        description="Keys that signed access tokens before, with commas: their tokens stay valid. Each has 32 "
        "characters or more.",
    )
    access_token_s: int = Field(default=3_600, ge=1, le=86_400, description="Lifetime of an access token, in seconds.")
    refresh_token_s: int = Field(
        default=2_592_000,
        ge=1,
        le=31_536_000,
        description="Lifetime of a sign-in, in seconds; after it, the user must sign in again.",
    )
    session_idle_s: int = Field(
        default=604_800, ge=1, le=31_536_000, description="Time without use after which a sign-in ends, in seconds."
    )
    fresh_sign_in_s: int = Field(
        default=600,
        ge=0,
        le=86_400,
        description="Time after a sign-in in which an API key is made without the password, in seconds.",
    )
    admin_reads_texts: bool = Field(
        default=False,
        description="Whether administrators may read the prompts and replies of other people. Each page that they read "
        "is recorded in the audit trail.",
    )
    registration_open: bool = Field(default=True, description="Whether new accounts may be registered.")
    sign_in_failures: Times = Field(
        default=10, description="Failed sign-ins allowed to one name from one address in five minutes; 0: no limit."
    )
    sign_in_failures_per_address: Times = Field(
        default=30, description="Failed sign-ins allowed to one address in five minutes, for all names; 0: no limit."
    )
    passwords_per_address: Times = Field(
        default=600,
        description="Sign-ins and registrations of one address per minute, also good ones; 0: no limit. All addresses "
        "together may have ten times as many.",
    )
    messages_per_minute: Times = Field(default=600, description="Messages of one user per minute; 0: no limit.")
    replies_per_user: Times = Field(
        default=256, description="Most unfinished replies of one user at the same time; 0: no limit."
    )
    unpaid_replies_per_hour: Times = Field(
        default=30,
        description="Replies of one user per hour that may end unpaid: stopped or left before anything was delivered, "
        "timed out, or empty; 0: no limit.",
    )
    unpaid_tokens_per_hour: Times = Field(
        default=10_000, description="Tokens of such replies that a model may write for one user per hour; 0: no limit."
    )
    unpaid_kib_per_hour: Times = Field(
        default=4_096,
        description="Size of the messages of one user per hour whose replies may end without a charge, in KiB; 0: no "
        "limit.",
    )
    registrations_per_hour: Times = Field(
        default=60,
        description="Accounts that may be registered from one address per hour; 0: no limit. An IPv6 network of 48 "
        "bits may have four times as many.",
    )
    registrations_in_all_per_hour: Times = Field(
        default=2_000, description="Accounts that may be registered from all addresses per hour; 0: no limit."
    )
    refreshes_per_session: Times = Field(
        default=20, description="Refresh tokens that one sign-in may exchange in five minutes; 0: no limit."
    )
    refreshes_per_address: Times = Field(
        default=300, description="Refresh tokens that one address may send in five minutes; 0: no limit."
    )
    top_ups_per_hour: Times = Field(default=60, description="Purchases one user may make an hour; 0: no limit.")
