"""What each role may do. A right that is given to a role by mistake fails here."""

from __future__ import annotations

import pytest

from chatbill.domain.accounts.permissions import outranks, permissions_of
from chatbill.domain.accounts.users import UserRole

RIGHTS = {
    UserRole.USER: "",
    UserRole.VIEWER: "read_use read_money read_people",
    UserRole.SUPPORT: "read_use read_people manage_people",
    UserRole.FINANCE: "read_use read_money read_people refund",
    UserRole.ADMIN: "read_use read_money read_people read_audit manage_people erase_people manage_roles adjust_credits"
    " refund operate",
}


@pytest.mark.parametrize("role", UserRole)
def test_a_role_has_exactly_these_rights(role: UserRole) -> None:
    assert {right.value for right in permissions_of(role)} == set(RIGHTS[role].split())


def test_a_right_of_every_role_is_needed_to_act_on_its_people() -> None:
    above = {role: {other for other in UserRole if outranks(role, other)} for role in UserRole}
    assert above[UserRole.ADMIN] == set(UserRole)
    assert above[UserRole.SUPPORT] == {UserRole.USER, UserRole.SUPPORT}
    assert above[UserRole.FINANCE] == {UserRole.USER, UserRole.VIEWER, UserRole.FINANCE}
    assert above[UserRole.USER] == {UserRole.USER}
