"""Naming the users of a list, and finding one by a name."""

from __future__ import annotations

import pytest

from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.errors import Forbidden
from tests.kit.staff import id_of, member
from tests.kit.support import world


async def test_users_are_named_and_found_by_id_name_and_address() -> None:
    here = world()
    await here.person("ann")
    support, ann = await member(here, UserRole.SUPPORT, "sam"), await id_of(here, "ann")
    name_users = here.use_cases.administration.name_users
    assert await name_users(support, [ann, ann, "of-nobody"]) == {ann: "ann"}
    for text in (ann, "Ann", "ann@EXAMPLE.org"):
        assert await name_users.find(support, text) == ann
    assert await name_users.find(support, "bob") is None


async def test_people_without_the_permission_learn_no_names() -> None:
    here = world()
    ann = await here.person("ann")
    with pytest.raises(Forbidden):
        await here.use_cases.administration.name_users(ann, [ann.user_id])
    with pytest.raises(Forbidden):
        await here.use_cases.administration.name_users.find(ann, "ann")
