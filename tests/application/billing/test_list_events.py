"""Events of billing: one for each movement, in order, for readers that continue where they stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.events import EventKind, RecordedEvent
from chatbill.domain.billing.payments import PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import InteractionId
from tests.kit.support import MINI, World, world

SORRY = AdminAction(reason="Sorry")
CAPTION, WORDS = Subject("caption", "1"), Description.of("caption")


async def events(here: World, after: str | None = None, limit: int = 1_000) -> list[RecordedEvent]:
    return await here.use_cases.billing.list_events(after, limit=limit)


async def use_all(here: World) -> Principal:
    """Let every kind of movement happen once to Alice's wallet, whose wallet is the first."""
    alice = await here.person()
    admin = replace(alice, role=UserRole.ADMIN)
    billing, administration = here.use_cases.billing, here.use_cases.administration
    receipt = await billing.place_order(alice, Order(package="small"))
    asked = await (await here.use_cases.chat.send_message(alice, Message(model=MINI, text="hello"))).finished()
    async with billing.charges.hold(alice.wallet_id, 7, WORDS, CAPTION, ttl_s=60) as charge:
        charge.cost = 0
    await administration.refund(admin, InteractionId(asked.interaction.id), SORRY)
    await administration.adjust_credits(admin, alice.user_id, 5, SORRY)
    await billing.confirm_payment(PaymentEvent(payment_id=receipt.payment.id, status=PaymentStatus.REFUNDED))
    return alice


async def test_each_movement_has_an_event_in_order() -> None:
    here = world()
    alice = await use_all(here)
    found = [each.event for each in await events(here)]
    assert [(event.kind, event.amount) for event in found] == [
        (EventKind.GRANTED, 100),
        (EventKind.TOPPED_UP, 100),
        (EventKind.CHARGED, -1),
        (EventKind.RELEASED, 7),
        (EventKind.REFUNDED, 1),
        (EventKind.ADJUSTED, 5),
        (EventKind.ADJUSTED, -100),
    ]
    assert {event.wallet_id for event in found} == {alice.wallet_id}
    kinds = [event.subject and event.subject.kind for event in found]
    assert kinds == [None, PAYMENT, INTERACTION, "caption", INTERACTION, None, PAYMENT]
    entries = (await here.use_cases.billing.list_transactions(alice)).items
    assert [event.entry_id for event in found if event.entry_id] == [entry.id for entry in reversed(entries)]
    assert [event.kind for event in found if event.entry_id is None] == [EventKind.RELEASED]
    assert found[2].hold_id == found[4].hold_id is not None


async def test_a_hold_that_is_swept_has_an_event() -> None:
    here = world()
    alice = await here.person()
    block = here.use_cases.billing.charges.hold(alice.wallet_id, 7, WORDS, CAPTION, ttl_s=60)
    await block.__aenter__()
    here.clock.advance(61)
    await here.use_cases.maintenance.expire_holds()
    last = (await events(here))[-1].event
    assert (last.kind, last.amount, last.subject, last.at) == (EventKind.RELEASED, 7, CAPTION, here.clock())


async def test_a_reader_continues_after_the_last_position_that_it_has_seen() -> None:
    here = world()
    await use_all(here)
    every = await events(here)
    assert len({each.position for each in every}) == len(every) == 7
    seen: list[RecordedEvent] = []
    while page := await events(here, seen[-1].position if seen else None, limit=2):
        seen += page
    assert seen == every
    assert await events(here, every[-1].position) == []
    await here.person("bob")
    assert [each.event.kind for each in await events(here, every[-1].position)] == [EventKind.GRANTED]


@pytest.mark.parametrize("position", ["", "first", "-1", "1.5", "٣"])
async def test_a_position_that_the_list_did_not_give_is_refused(position: str) -> None:
    with pytest.raises(InvalidRequest):
        await events(world(), position)


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (-5, 1), (3, 3), (10**9, 7)])
async def test_a_limit_out_of_bounds_is_taken_as_the_nearest(limit: int, count: int) -> None:
    here = world()
    await use_all(here)
    assert len(await events(here, limit=limit)) == count


async def test_work_that_is_not_kept_has_no_event() -> None:
    here = world()
    alice = await here.person()
    await here.use_cases.billing.place_order(alice, Order(package="small", idempotency_key="key"))
    before = await events(here)
    await here.use_cases.billing.place_order(alice, Order(package="small", idempotency_key="key"))
    assert await events(here) == before


async def test_events_that_are_old_are_forgotten_and_positions_stay() -> None:
    here = world()
    await here.person()
    here.clock.advance(60)
    await here.person("bob")
    [old, new] = await events(here)
    before = old.event.at + timedelta(seconds=1)
    assert await here.store.write(lambda tx: tx.outbox.forget(before=before, limit=5)) == 1
    assert await here.store.write(lambda tx: tx.outbox.forget(before=before, limit=5)) == 0
    assert await events(here) == await events(here, old.position) == [new]


async def test_events_are_forgotten_after_thirty_days() -> None:
    here = world()
    await here.person()
    here.clock.advance(30 * 86_400 - 1)
    bob = await here.person("bob")
    forget = here.use_cases.maintenance.forget_events
    assert await forget() == 0
    here.clock.advance(2)
    assert await forget() == 1
    (left,) = await here.use_cases.billing.list_events()
    assert left.event.wallet_id == bob.wallet_id
