"""Types of settings with their bounds and how they are read from text."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

DATABASES: Final = ("sqlite", "postgresql")
SHARED: Final = ("valkey", "valkeys", "redis", "rediss")


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


def _shared(url: SecretStr | None) -> SecretStr | None:
    if url is not None and url.get_secret_value().partition("://")[0] not in SHARED:
        raise ValueError("must begin with valkey:// or valkeys:// (TLS), as in valkey://:password@host:6379/0")
    return url


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("must be IP addresses or networks, as in 10.0.0.0/8,127.0.0.1") from None


def _home(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("begins with ~, and there is no such user or no home folder") from None


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]
Times = Annotated[int, Field(ge=0, le=1_000_000)]
# Lists are written with commas, not as JSON.
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")], ...], NoDecode, BeforeValidator(_listed)
]
Mailboxes = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[!-+\--?A-~]+@[!-+\--?A-~]+$", max_length=254)], ...],
    Field(max_length=10),
    NoDecode,
    BeforeValidator(_listed),
]
Keys = Annotated[
    tuple[Annotated[SecretStr, Field(min_length=32)], ...], Field(max_length=10), NoDecode, BeforeValidator(_listed)
]
Folder = Annotated[Path, AfterValidator(_home)]
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_database)]
SharedUrl = Annotated[SecretStr | None, AfterValidator(_shared)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
