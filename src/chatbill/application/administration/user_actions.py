"""Shared parts of the actions on an account of another person."""

from __future__ import annotations

import logging

from chatbill.application.accounts.find_user import find_user
from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import Forbidden, NotFound

_log = logging.getLogger(__name__)


def locked_user(tx: Transaction, login: str) -> User:
    """Return the user of a username or e-mail address, locked. Raises `NotFound`."""
    found = find_user(tx.users, login)
    user = tx.users.lock(found.id) if found else None
    if user is None:
        raise NotFound("user", login)
    return user


def refuse_own_account(principal: Principal, user: User) -> None:
    """Raise `Forbidden` for one's own account, so that at least one administrator is left."""
    if user.id == principal.user_id:
        raise Forbidden("own_account")


def log_action(event: str, principal: Principal, user: User, reason: str) -> None:
    """Log which administrator did this to whom and why."""
    _log.warning(event, extra={"user_id": user.id, "by": principal.user_id, "reason": reason})
