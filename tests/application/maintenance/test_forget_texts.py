"""The removal of old texts, whose figures stay."""

from __future__ import annotations

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.messages import Message
from chatbill.application.maintenance.forget_texts import ForgetTexts
from chatbill.application.ports.repositories.interactions import HistoryFilter
from tests.kit.support import world

DAY_S = 86_400


async def test_old_texts_and_titles_are_blanked_and_every_figure_stays() -> None:
    here = world(store=MemoryStore())
    alice = await here.person()
    send = here.use_cases.chat.send_message
    old = (await (await send(alice, Message(model="demo-mini", text="Old secret"))).finished()).interaction
    here.clock.advance(4 * DAY_S)
    new = (await (await send(alice, Message(model="demo-mini", text="New words"))).finished()).interaction
    here.clock.advance(4 * DAY_S)
    forget = ForgetTexts(store=here.store, clock=here.clock, kept_days=5)

    assert await forget() == 1
    assert await forget() == 0
    history = await here.store.read(
        lambda snapshot: snapshot.interactions.history(alice.user_id, HistoryFilter(), after=None, limit=9)
    )
    assert [(each.prompt, each.reply) for each in history] == [(new.prompt, new.reply), ("", "")]
    blanked = history[1]
    assert (blanked.usage, blanked.credits_charged, blanked.outcome) == (old.usage, old.credits_charged, old.outcome)
    titles = [page.title for page in (await here.use_cases.chat.list_conversations(alice, limit=9, cursor=None)).items]
    assert titles == ["New words", "Deleted"]
    assert (await here.use_cases.audit.verify_ledger(lambda _difference: None)).agrees

    here.clock.advance(2 * DAY_S)
    assert await forget() == 1
    assert await ForgetTexts(store=here.store, clock=here.clock, kept_days=5)() == 0


@pytest.mark.parametrize(("named", "title"), [(None, "Deleted"), ("About rivers", "About rivers")])
async def test_a_conversation_that_goes_on_keeps_its_new_texts_and_a_title_that_is_no_old_text(
    named: str | None, title: str
) -> None:
    here = world(store=MemoryStore())
    alice = await here.person()
    chat = here.use_cases.chat
    first = (await (await chat.send_message(alice, Message(model="demo-mini", text="First"))).finished()).interaction
    if named:
        await chat.change_conversation(alice, first.conversation_id, title=named)
    here.clock.advance(4 * DAY_S)
    again = Message(model="demo-mini", text="Second", conversation_id=first.conversation_id)
    await (await chat.send_message(alice, again)).finished()
    here.clock.advance(2 * DAY_S)
    assert await ForgetTexts(store=here.store, clock=here.clock, kept_days=5)() == 1
    thread = await chat.read_conversation(alice, first.conversation_id, limit=9, cursor=None)
    assert thread.conversation.title == title
    assert [each.prompt for each in thread.page.items] == ["Second", ""]


async def test_more_texts_than_one_batch_are_blanked_in_one_run() -> None:
    here = world(store=MemoryStore(), welcome_credits=2_000)
    alice = await here.person()
    for number in range(501):
        await (await here.use_cases.chat.send_message(alice, Message(model="demo-mini", text=f"{number}"))).finished()
    here.clock.advance(3 * DAY_S)
    assert await ForgetTexts(store=here.store, clock=here.clock, kept_days=2)() == 501
