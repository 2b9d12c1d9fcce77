"""Whom members of the staff may act on, by their role, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.revoke_keys import WhichKeys
from chatbill.application.administration.update_user import UserChange
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import outranks
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import ChatbillError, Conflict, Forbidden
from tests.kit.staff import id_of, member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import MINI, World, world

WHY = AdminAction(reason="Because")
SUSPENDED = UserChange(state=AccountState.SUSPENDED)
ACTIVE = UserChange(state=AccountState.ACTIVE)
STAFF = [role for role in UserRole if role.is_staff]


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    store = STORES[request.param](tmp_path)
    yield world(store=store)
    await store.close()


def acts_on_people(here: World) -> list[Callable[[Principal, Principal], Awaitable[object]]]:
    use_cases = here.use_cases.administration

    async def revoke(staff: Principal, other: Principal) -> object:
        return await use_cases.revoke_keys(staff, WhichKeys(owner=other.username), WHY)

    return [
        lambda staff, other: use_cases.update_user(staff, other.user_id, SUSPENDED, WHY),
        lambda staff, other: use_cases.update_user(staff, other.user_id, ACTIVE, WHY),
        lambda staff, other: use_cases.sign_out_user(staff, other.user_id, WHY),
        lambda staff, other: use_cases.make_password_link(staff, other.user_id, WHY),
        revoke,
    ]


@pytest.mark.parametrize("role", STAFF)
async def test_people_act_on_those_alone_whose_permissions_they_have(role: UserRole) -> None:
    here = world()
    staff = await member(here, role, "staff")
    others = [await member(here, other, f"other.{other}") for other in UserRole]
    for other in others:
        await here.use_cases.accounts.create_api_key(other, NewApiKey(name="CI"))
    may_act = role in {UserRole.SUPPORT, UserRole.ADMIN}
    for other in others:
        for act in acts_on_people(here):
            if may_act and outranks(role, other.role):
                await act(staff, other)
            else:
                with pytest.raises(Forbidden):
                    await act(staff, other)


async def test_only_administrators_give_roles_and_not_to_themselves(here: World) -> None:
    root, alice = await member(here), await here.person()
    update = here.use_cases.administration.update_user
    for role in UserRole:
        other = await member(here, role, f"other.{role}")
        change = UserChange(role=UserRole.ADMIN)
        with pytest.raises(Forbidden):
            await update(other, other.user_id, change, WHY)
        if role is not UserRole.ADMIN:
            with pytest.raises(Forbidden):
                await update(other, alice.user_id, change, WHY)
    given = await update(root, alice.user_id, UserChange(role=UserRole.SUPPORT), WHY)
    assert given.role is UserRole.SUPPORT
    await update(root, alice.user_id, UserChange(role=UserRole.SUPPORT), WHY)
    (record,) = await trail(here, AuditAction.ROLE_CHANGED)
    assert (record.actor, record.subject_id, record.reason) == (root.user_id, alice.user_id, WHY.reason)
    assert (dict(record.before), dict(record.after)) == ({"role": "user"}, {"role": "support"})


async def test_a_role_and_a_state_change_together_and_each_is_recorded(here: World) -> None:
    root, alice = await member(here), await here.person()
    both = UserChange(role=UserRole.VIEWER, state=AccountState.SUSPENDED)
    user = await here.use_cases.administration.update_user(root, alice.user_id, both, WHY)
    assert (user.role, user.state) == (UserRole.VIEWER, AccountState.SUSPENDED)
    records = await trail(here, AuditAction.ROLE_CHANGED, AuditAction.USER_SUSPENDED)
    assert [(dict(each.before), dict(each.after)) for each in records] == [
        ({"role": "user"}, {"role": "viewer"}),
        ({"state": "active"}, {"state": "suspended"}),
    ]


@pytest.mark.parametrize("change", [SUSPENDED, UserChange(role=UserRole.USER)])
async def test_one_administrator_is_left_where_two_act_on_each_other_at_once(here: World, change: UserChange) -> None:
    staff = [await member(here, name=name) for name in ("ann", "ben")]
    update = here.use_cases.administration.update_user
    results = await asyncio.gather(
        *(update(one, other.user_id, change, WHY) for one, other in (staff, reversed(staff))), return_exceptions=True
    )
    (refused,) = [result for result in results if isinstance(result, ChatbillError)]
    assert isinstance(refused, Conflict)
    assert refused.description.code == "last_administrator"
    left = await here.store.write(lambda tx: tx.users.lock_administrators())
    assert len(left) == 1


async def test_a_suspended_administrator_does_not_count_as_one(here: World) -> None:
    root, ann = await member(here), await member(here, name="ann")
    update = here.use_cases.administration.update_user
    await update(root, ann.user_id, SUSPENDED, WHY)
    with pytest.raises(Conflict):
        await update(ann, root.user_id, SUSPENDED, WHY)
    await update(root, ann.user_id, UserChange(role=UserRole.USER), WHY)


async def test_finance_refunds_others_and_not_itself() -> None:
    here = world()
    finance, alice = await member(here, UserRole.FINANCE, "fiona"), await here.person()
    for person in (alice, finance):
        reply = await here.use_cases.chat.send_message(person, Message(model=MINI, text="hello"))
        await reply.finished()
        refund = here.use_cases.administration.refund(finance, reply.accepted.interaction_id, WHY)
        if person is finance:
            with pytest.raises(Forbidden):
                await refund
        else:
            assert (await refund).amount == 1
    with pytest.raises(Forbidden):
        await here.use_cases.administration.adjust_credits(finance, alice.user_id, 5, WHY)


async def test_credits_that_move_by_hand_are_recorded_with_their_entry(here: World) -> None:
    root, alice = await member(here), await here.person()
    reply = await here.use_cases.chat.send_message(alice, Message(model=MINI, text="hello"))
    await reply.finished()
    administration, interaction = here.use_cases.administration, reply.accepted.interaction_id
    once = AdminAction(reason="A present", idempotency_key="key")
    entries = [await administration.adjust_credits(root, alice.user_id, 5, once) for _ in range(2)]
    refund = await administration.refund(root, interaction, WHY)
    adjusted, refunded = await trail(here, AuditAction.CREDITS_ADJUSTED, AuditAction.CHARGE_REFUNDED)
    assert [str(adjusted.id), adjusted.subject_id, adjusted.reason] == [entries[0].id, alice.user_id, "A present"]
    assert (dict(adjusted.before), dict(adjusted.after)) == ({"balance": 99}, {"balance": 104, "amount": 5})
    assert [str(refunded.id), refunded.actor] == [refund.id, root.user_id]
    assert dict(refunded.after) == {"balance": 105, "amount": 1, "interaction": interaction}


async def test_every_member_of_the_staff_is_found_on_the_command_line_and_no_other(here: World) -> None:
    for role in STAFF:
        await member(here, role, f"the.{role}")
        assert (await here.use_cases.administration.find_administrator(f"the.{role}")).role is role
    await here.person()
    for login in ("alice", "nobody"):
        with pytest.raises(Forbidden):
            await here.use_cases.administration.find_administrator(login)
    assert await id_of(here, "ALICE@EXAMPLE.ORG")
