"""Settings: backups."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from chatbill.settings.types import Folder


class BackupSettings(BaseSettings):
    """Where backups go, how often they are made, and how long they are kept."""

    backup_to: Annotated[str, Field(pattern=r"^(/|~/|[A-Za-z]:[\\/]|s3://[^/\s]+)")] | None = Field(
        default=None,
        description="Folder for backups, or `s3://BUCKET/PATH` with the variables `AWS_ACCESS_KEY_ID`, "
        "`AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and `AWS_ENDPOINT_URL`. Not set: no backups are made.",
    )
    backup_every_hours: int = Field(
        default=24,
        ge=0,
        le=8_760,
        description="How often a backup is made, in hours; 0: only by `chatbill backup make`.",
    )
    backup_keep: int = Field(
        default=7, ge=1, le=10_000, description="So many of the newest backups are kept, however old they are."
    )
    backup_keep_days: int = Field(
        default=30, ge=0, le=36_500, description="Further backups are removed when they are older, in days."
    )
    backup_key_file: Folder | None = Field(
        default=None,
        description="File with a public or a secret key of age, made by `chatbill backup key`, with which backups are "
        "encrypted. Not set: they are not.",
    )
