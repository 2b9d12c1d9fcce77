"""What an administrator moves by hand: with a reason, with a name, once, and never too much."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.refund import Refund
from chatbill.application.chat.messages import Message
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import INTERACTION, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
)
from chatbill.domain.shared.ids import InteractionId, UserId
from tests.kit.support import MINI, PRO, World, world

SORRY = AdminAction(reason="The reply was useless")


@dataclass
class Office:
    world: World
    admin: Principal
    alice: Principal

    @property
    def refund(self) -> Refund:
        return self.world.use_cases.administration.refund

    @property
    def adjust(self) -> AdjustCredits:
        return self.world.use_cases.administration.adjust_credits

    async def charged(self, model: str = PRO) -> InteractionId:
        send: SendMessage = self.world.use_cases.chat.send_message
        reply = await send(self.alice, Message(model=model, text="hello"))
        await reply.finished()
        return reply.accepted.interaction_id

    async def balance(self) -> int:
        return (await self.world.use_cases.billing.read_balance(self.alice)).posted


async def office(max_debt: int = 0) -> Office:
    here = world(max_debt=max_debt)
    alice, admin = await here.person("alice"), await here.person("olga")
    return Office(here, replace(admin, role=UserRole.ADMIN), alice)


async def test_a_refund_gives_the_whole_charge_back_with_reason_and_author() -> None:
    here = await office()
    interaction = await here.charged()
    entry = await here.refund(here.admin, interaction, SORRY)
    assert (entry.kind, entry.signed_amount, entry.balance_after) == (EntryKind.REFUND, 3, 100)
    assert entry.cause.description == Description.of("by_hand", reason=SORRY.reason)
    assert (entry.cause.author, entry.cause.subject) == (here.admin.user_id, Subject(INTERACTION, interaction))
    assert (await here.world.use_cases.audit.verify_ledger(print)).agrees


async def test_refunds_together_are_never_more_than_the_charge() -> None:
    here = await office()
    interaction = await here.charged()
    await here.refund(here.admin, interaction, SORRY, amount=2)
    with pytest.raises(InvalidRequest, match=r"^amount: not_refundable\(left=1\)$"):
        await here.refund(here.admin, interaction, SORRY, amount=2)
    await here.refund(here.admin, interaction, SORRY)
    with pytest.raises(Conflict):
        await here.refund(here.admin, interaction, SORRY)
    assert await here.balance() == 100
    assert (await here.world.use_cases.audit.verify_ledger(print)).agrees


async def test_twenty_refunds_at_once_give_back_once() -> None:
    here = await office()
    interaction = await here.charged()
    results = await asyncio.gather(
        *(here.refund(here.admin, interaction, SORRY) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 19
    assert await here.balance() == 100


async def test_what_was_not_charged_is_not_refunded() -> None:
    here = await office()
    running = await here.world.use_cases.chat.send_message(here.alice, Message(model=MINI, text="hello"))
    with pytest.raises(Conflict):
        await here.refund(here.admin, running.accepted.interaction_id, SORRY)
    with pytest.raises(NotFound):
        await here.refund(here.admin, InteractionId("unknown"), SORRY)


@pytest.mark.parametrize("amount", [0, -1, 4])
async def test_a_refund_outside_of_the_charge_is_refused(amount: int) -> None:
    here = await office()
    with pytest.raises(InvalidRequest):
        await here.refund(here.admin, await here.charged(), SORRY, amount=amount)
    assert await here.balance() == 97


async def test_only_an_administrator_moves_credits_by_hand() -> None:
    here = await office()
    with pytest.raises(Forbidden):
        await here.refund(here.alice, await here.charged(), SORRY)
    with pytest.raises(Forbidden):
        await here.adjust(here.alice, here.alice.user_id, 1_000, SORRY)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
async def test_a_reason_is_needed(reason: str) -> None:
    here = await office()
    with pytest.raises(InvalidRequest):
        await here.adjust(here.admin, here.alice.user_id, 5, AdminAction(reason=reason))


async def test_an_adjustment_goes_both_ways_and_not_below_zero() -> None:
    here = await office()
    assert (await here.adjust(here.admin, here.alice.user_id, 50, SORRY)).balance_after == 150
    assert (await here.adjust(here.admin, here.alice.user_id, -150, SORRY)).balance_after == 0
    with pytest.raises(InvalidRequest):
        await here.adjust(here.admin, here.alice.user_id, -1, SORRY)
    with pytest.raises(InvalidRequest):
        await here.adjust(here.admin, here.alice.user_id, 0, SORRY)
    with pytest.raises(NotFound):
        await here.adjust(here.admin, UserId("unknown"), 5, SORRY)
    assert (await here.world.use_cases.audit.verify_ledger(print)).agrees


async def test_a_debt_goes_as_far_as_it_was_allowed_and_cannot_be_spent() -> None:
    here = await office(max_debt=20)
    assert (await here.adjust(here.admin, here.alice.user_id, -120, SORRY)).balance_after == -20
    with pytest.raises(InvalidRequest):
        await here.adjust(here.admin, here.alice.user_id, -1, SORRY)
    with pytest.raises(InsufficientCredits) as refused:
        await here.charged(MINI)
    assert refused.value.available == -20
    await here.adjust(here.admin, here.alice.user_id, 25, SORRY)
    await here.charged(MINI)
    assert await here.balance() == 4
    assert (await here.world.use_cases.audit.verify_ledger(print)).agrees


async def test_the_same_key_moves_credits_once() -> None:
    here = await office()
    order = AdminAction(reason="A present", idempotency_key="key")
    entries = await asyncio.gather(*(here.adjust(here.admin, here.alice.user_id, 5, order) for _ in range(10)))
    assert all(entry == entries[0] for entry in entries)
    assert await here.balance() == 105
    with pytest.raises(IdempotencyMismatch):
        await here.adjust(here.admin, here.alice.user_id, 6, order)
    interaction = await here.charged()
    refund = AdminAction(reason="Sorry", idempotency_key="refund")
    first, again = [await here.refund(here.admin, interaction, refund) for _ in range(2)]
    assert first == again
