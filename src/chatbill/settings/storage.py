"""Settings: where data is kept."""

from __future__ import annotations

from typing import Final

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings

from chatbill.settings.types import DatabaseUrl, Folder

SQLITE_FILE: Final = "chatbill.sqlite3"


class StorageSettings(BaseSettings):
    """Where data is kept."""

    data_dir: Folder = Field(
        default_factory=lambda: user_data_path("chatbill", appauthor=False),
        description="Folder for the database, the models and the signing key. Not set: the user's data folder.",
    )
    database_url: DatabaseUrl = Field(
        default=None, description=f"SQLite or PostgreSQL. Not set: the file `{SQLITE_FILE}` in the data folder."
    )

    database_prefix: str = Field(
        default="",
        # As `chatbill.adapters.persistence.sql.prefix`, which a test compares.
        pattern=r"^([a-z][a-z0-9_]{0,14}_)?$",
        description="Prefix of the names of chatbill's tables, such as `chatbill_`, for a database that an application "
        "also uses. Choose it before the first start.",
    )
