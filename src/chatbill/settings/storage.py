"""Settings: where data is kept."""

from __future__ import annotations

from typing import Annotated, Final

from platformdirs import user_data_path
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from chatbill.settings.types import DatabaseUrl, Folder, SharedUrl

SQLITE_FILE: Final = "chatbill.sqlite3"


def _not_one(days: int) -> int:
    if days == 1:
        raise ValueError("must be 0, or 2 or more: a reply may be written for longer than a day")
    return days


class StorageSettings(BaseSettings):
    """Where data is kept."""

    data_dir: Folder = Field(
        default_factory=lambda: user_data_path("chatbill", appauthor=False),
        description="Folder for the database, the models and the signing key. Not set: the user's data folder.",
    )
    database_url: DatabaseUrl = Field(
        default=None, description=f"SQLite or PostgreSQL. Not set: the file `{SQLITE_FILE}` in the data folder."
    )
    shared_url: SharedUrl = Field(
        default=None,
        description="Valkey server in which several processes count limits together and tell each other what they "
        "write, as in `valkey://:password@host:6379/0`. Needs the extra `shared`. Not set: each process for itself.",
    )
    keep_texts_days: Annotated[int, AfterValidator(_not_one)] = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Prompts and replies older than this are blanked, in days; their figures stay. 2 or more; 0: kept.",
    )
    run_jobs: bool = Field(
        default=True,
        description="Whether `chatbill serve` does the jobs of the background; with `false`, `chatbill worker` must.",
    )
    migrate_at_start: bool = Field(
        default=True,
        description="Whether commands such as `chatbill serve` upgrade the schema of the database at their start; with "
        "`false`, only `chatbill db upgrade` does.",
    )
    database_prefix: str = Field(
        default="",
        # As `chatbill.adapters.persistence.sql.prefix`, which a test compares.
        pattern=r"^([a-z][a-z0-9_]{0,14}_)?$",
        description="Prefix of the names of chatbill's tables, such as `chatbill_`, for a database that an application "
        "also uses. Choose it before the first start.",
    )
