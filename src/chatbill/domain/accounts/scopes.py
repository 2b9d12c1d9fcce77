"""Scopes: the rights of an API key, of which its owner gives it one or more."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from chatbill.domain.shared.errors import Forbidden, InvalidRequest


class Scope(StrEnum):
    """One right of an API key. No scope lets a key buy credits, change the account, or make keys."""

    CHAT = "chat"
    """List models, send and stop messages, use `/v1`, and read the balance."""
    BILLING = "billing"
    """Read the packages and transactions."""
    READ = "read"
    """Read conversations and the history."""
    WRITE = "write"
    """Rename and delete conversations."""
    ACCOUNT = "account"
    """Read the account: its username and e-mail address."""


DEFAULT_SCOPES: Final = frozenset({Scope.CHAT})
"""The scopes of a new key whose owner names none."""


class ScopeMissing(Forbidden):
    """The API key was not given the scope that this needs; carries `scope`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        super().__init__("scope_missing", scope=scope.value)


def checked_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these names. Raises `InvalidRequest` for none at all, and for an unknown name."""
    names = set(names)
    if not names:
        raise InvalidRequest.of("scopes", "empty")
    if not names <= set(Scope):
        raise InvalidRequest.of("scopes", "not_one_of", known=", ".join(Scope))
    return frozenset(map(Scope, names))


def require_scope(granted: frozenset[Scope], scope: Scope | None) -> None:
    """Raise `ScopeMissing` unless a key with these scopes may do what needs `scope`; None is closed to all keys."""
    if scope is None:
        raise Forbidden("api_key_not_allowed")
    if scope not in granted:
        raise ScopeMissing(scope)
