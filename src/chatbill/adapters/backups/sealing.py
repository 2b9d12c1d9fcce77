"""Encrypts and decrypts backups in the age format (https://age-encryption.org/v1), in authenticated chunks."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from chatbill.application.ports.backups import BackupFailed

SUFFIX: Final = ".age"
_SECRET: Final = "AGE-SECRET-KEY-1"  # noqa: S105 - how a secret key begins
_PUBLIC: Final = "age1"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of age. Each of the secret ones opens what is sealed; public ones are enough to seal."""

    public: tuple[Any, ...]
    secret: tuple[Any, ...]


def read_keys(path: Path) -> Keys:
    """Return the keys of a file with one a line, as `age-keygen` writes it. Raises `BackupFailed`."""
    age = _library()
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        secret = [age.x25519.Identity.from_str(line) for line in lines if line.startswith(_SECRET)]
        public = [age.x25519.Recipient.from_str(line) for line in lines if line.startswith(_PUBLIC)]
    except (OSError, UnicodeError) as error:
        raise BackupFailed(f"The file of keys {path} cannot be read: {error}") from error
    except (age.IdentityError, age.RecipientError):
        raise BackupFailed(
            f"{path} has a key that age does not understand. Make keys by: chatbill backup key"
        ) from None
    if not (public or secret):
        raise BackupFailed(f"{path} has no key of age. Make one by: chatbill backup key FILE")
    return Keys((*public, *(each.to_public() for each in secret)), tuple(secret))


def make_key(path: Path) -> str:
    """Write a new secret key to a file that its owner alone can read; return the public key. Raises `BackupFailed`."""
    identity = _library().x25519.Identity.generate()
    public = str(identity.to_public())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"# public key: {public}\n{identity}\n")
    except OSError as error:
        raise BackupFailed(f"The key cannot be written to {path}: {error.strerror}") from error
    return public


def seal(source: Path, target: Path, keys: Keys) -> None:
    """Encrypt a file for the public keys."""
    with source.open("rb") as plain, target.open("wb") as sealed:
        _library().encrypt_io(plain, sealed, list(keys.public))


def unseal(source: Path, target: Path, keys: Keys | None) -> None:
    """Decrypt a file. Raises `BackupFailed` without the right secret key, or if any part of the file was changed."""
    if keys is None or not keys.secret:
        raise BackupFailed("The backup is encrypted. Let CHATBILL_BACKUP_KEY_FILE name a file with its secret key.")
    age = _library()
    try:
        with source.open("rb") as sealed, target.open("wb") as plain:
            age.decrypt_io(sealed, plain, list(keys.secret))
    except (age.DecryptError, OSError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise BackupFailed("The backup cannot be decrypted: its key is another one, or it was changed.") from error


def _library() -> ModuleType:
    try:
        return importlib.import_module("pyrage")
    except ImportError:
        raise BackupFailed("Encrypted backups need more packages: pip install 'chatbill[backups]'") from None
