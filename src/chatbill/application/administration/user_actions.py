"""Shared parts of the actions on an account of another person."""

from __future__ import annotations

import logging

from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import outranks
from chatbill.domain.accounts.users import AccountState, User, UserRole
from chatbill.domain.shared.errors import Conflict, Forbidden, NotFound
from chatbill.domain.shared.ids import UserId

_log = logging.getLogger(__name__)


def locked_user(tx: Transaction, principal: Principal, user_id: UserId, *, even_erased: bool = False) -> User:
    """Return a user on whom the principal may act, locked.

    Raises `NotFound`, `Conflict` for an erased account unless `even_erased`, and `Forbidden` for an account with more
    permissions.
    """
    user = tx.users.lock(user_id)
    if user is None:
        raise NotFound("user")
    if user.state is AccountState.ERASED and not even_erased:
        raise Conflict("user_erased")
    require_rank(principal, user.role)
    return user


def locked_user_to_weaken(tx: Transaction, principal: Principal, user_id: UserId, *, even_erased: bool = False) -> User:
    """Return the same as `locked_user`, for an action that takes rights from the person.

    Raises `Conflict` for the last enabled administrator too. All administrators are locked before the user, in the
    order of their ids, so that two who act on each other at the same time wait and do not deadlock.
    """
    others = [each for each in tx.users.lock_administrators() if each.id != user_id]
    user = locked_user(tx, principal, user_id, even_erased=even_erased)
    if user.role is UserRole.ADMIN and user.is_enabled and not others:
        raise Conflict("last_administrator")
    return user


def require_rank(principal: Principal, role: UserRole) -> None:
    """Raise `Forbidden` if people with this role have a permission that the principal lacks."""
    if not outranks(principal.role, role):
        raise Forbidden("outranked", role=role.value)


def refuse_own_account(principal: Principal, user_id: UserId) -> None:
    """Raise `Forbidden` for one's own account."""
    if user_id == principal.user_id:
        raise Forbidden("own_account")


def log_action(event: str, principal: Principal, user: User, reason: str) -> None:
    """Log which member of the staff did this to whom and why."""
    _log.warning(event, extra={"user_id": user.id, "by": principal.user_id, "reason": reason})
