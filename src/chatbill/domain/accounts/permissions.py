"""Permissions: what people of the staff may do, and the roles that are sets of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from chatbill.domain.accounts.users import UserRole


class Permission(StrEnum):
    """One right of a member of the staff. People may do what concerns themselves without any."""

    READ_USE = "read_use"
    """See requests, tokens, speed, health and alerts."""
    READ_MONEY = "read_money"
    """See balances, ledger entries, payments and financial reports."""
    READ_PEOPLE = "read_people"
    """Find people, and see their names, addresses and states."""
    READ_AUDIT = "read_audit"
    """See the audit trail and the log."""
    MANAGE_PEOPLE = "manage_people"
    """Create, suspend and activate people, sign them out, and make links for a new password."""
    ERASE_PEOPLE = "erase_people"
    """Erase the texts and the identity of people."""
    MANAGE_ROLES = "manage_roles"
    """Give and take roles."""
    ADJUST_CREDITS = "adjust_credits"
    """Add credits to wallets and take them, and make codes that redeem credits."""
    REFUND = "refund"
    """Give back what a reply has cost."""
    OPERATE = "operate"
    """Acknowledge alerts, free memory, run jobs again."""


_READING: Final = frozenset({Permission.READ_USE, Permission.READ_MONEY, Permission.READ_PEOPLE})
_PERMISSIONS: Final[dict[UserRole, frozenset[Permission]]] = {
    UserRole.USER: frozenset(),
    UserRole.VIEWER: _READING,
    UserRole.SUPPORT: frozenset({Permission.READ_USE, Permission.READ_PEOPLE, Permission.MANAGE_PEOPLE}),
    UserRole.FINANCE: _READING | {Permission.REFUND},
    UserRole.ADMIN: frozenset(Permission),
}


def permissions_of(role: UserRole) -> frozenset[Permission]:
    """Return the permissions of a role."""
    return _PERMISSIONS[role]


def outranks(role: UserRole, other: UserRole) -> bool:
    """Return True if a person with `role` may act on the account of a person with `other`.

    That needs every permission of the other person: a link for a new password would give them away.
    """
    return permissions_of(other) <= permissions_of(role)
