"""Lists in pages, conversations, and what belongs to somebody else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.messages import Message
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot
from chatbill.application.shared.paging import MAX_PAGE_BYTES, Page, decode_position, decode_version
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import Conflict, InvalidRequest, NotFound
from chatbill.domain.shared.ids import ConversationId, InteractionId
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, MINI, PRO, World, world

T = TypeVar("T")


class ReadStore(MemoryStore):
    """A store that notes the bytes of texts that each query returned."""

    def __init__(self) -> None:
        super().__init__()
        self.read_bytes: list[int] = []

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        found = await super().read(query)
        rows = found[-1] if isinstance(found, tuple) else found
        if isinstance(rows, list):
            self.read_bytes.append(sum(row.text_bytes() for row in rows if isinstance(row, Interaction)))
        return found


async def said(
    here: World, person: Principal, text: str, model: str = MINI, thread: str | None = None
) -> ConversationId:
    message = Message(model=model, text=text, conversation_id=ConversationId(thread) if thread else None)
    reply = await here.use_cases.chat.send_message(person, message)
    await reply.finished()
    here.clock.advance(1)
    return reply.accepted.conversation_id


async def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    here = world()
    alice = await here.person()
    for number in range(7):
        await said(here, alice, f"message {number}")
    seen, cursor = [], None
    while True:
        page = await here.use_cases.chat.list_history(alice, limit=3, cursor=cursor)
        seen += [item.prompt for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"message {number}" for number in reversed(range(7))]
    entries = await here.use_cases.billing.list_transactions(alice, limit=5)
    rest = await here.use_cases.billing.list_transactions(alice, limit=5, cursor=entries.next_cursor)
    assert [entry.balance_after for entry in entries.items + rest.items] == [93, 94, 95, 96, 97, 98, 99, 100]
    assert rest.next_cursor is None


async def test_pages_have_a_size_in_bytes() -> None:
    store = ReadStore()
    here = world(max_message_chars=100_000, store=store)
    alice = await here.person()
    emoji = "\N{GRINNING FACE}"
    thread = await said(here, alice, emoji * (MAX_PAGE_BYTES // 4))
    for number in range(8):
        await said(here, alice, f"{number}{emoji * 9_000}", thread=thread)
    store.read_bytes.clear()
    chat = here.use_cases.chat
    for read in (
        lambda cursor: chat.list_history(alice, limit=100, cursor=cursor),
        lambda cursor: chat.read_conversation(alice, thread, cursor=cursor),
    ):
        seen, sizes, cursor = [], [], None
        while True:
            read_page: Any = await read(cursor)
            page = read_page if isinstance(read_page, Page) else read_page.page
            seen += [item.prompt[0] for item in page.items]
            sizes.append((len(page.items), sum(item.text_bytes() for item in page.items)))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == ["7", "6", "5", "4", "3", "2", "1", "0", emoji]
        # The oldest message is longer than a page, so it comes alone.
        assert [count for count, _ in sizes] == [3, 3, 2, 1]
        assert all(size <= MAX_PAGE_BYTES for count, size in sizes if count > 1)
        # No more is read than a page, and the item with which the next one begins.
        assert max(store.read_bytes) <= MAX_PAGE_BYTES + sizes[-1][1]


async def test_history_is_filtered_by_model_and_text() -> None:
    here = world()
    alice = await here.person()
    await said(here, alice, "Über 100% sure_thing")
    await said(here, alice, "something else", model=PRO)
    by_model = await here.use_cases.chat.list_history(alice, HistoryFilter(model=PRO))
    assert [item.prompt for item in by_model.items] == ["something else"]
    for needle, found in {"über": 1, "100%": 1, "%": 1, "_": 1, "a_b": 0, "SOMETHING": 1}.items():
        page = await here.use_cases.chat.list_history(alice, HistoryFilter(text=needle))
        assert len(page.items) == found, needle


@pytest.mark.parametrize("limit", [0, -1, 101])
async def test_a_page_has_bounds(limit: int) -> None:
    here = world()
    with pytest.raises(InvalidRequest):
        await here.use_cases.chat.list_history(await here.person(), limit=limit)


@given(st.text())
def test_a_cursor_that_was_not_made_here_is_refused_in_words(text: str) -> None:
    for decode in (decode_position, decode_version):
        with suppress(InvalidRequest):
            decode(text)


async def test_conversations_are_listed_by_their_last_use() -> None:
    here = world()
    alice = await here.person()
    first = await said(here, alice, "first")
    second = await said(here, alice, "second")
    assert [each.id for each in (await here.use_cases.chat.list_conversations(alice)).items] == [second, first]
    await said(here, alice, "again", thread=first)
    assert [each.id for each in (await here.use_cases.chat.list_conversations(alice)).items] == [first, second]
    thread = await here.use_cases.chat.read_conversation(alice, first)
    assert thread.conversation.title == "first"
    assert [item.prompt for item in thread.page.items] == ["again", "first"]


async def test_a_conversation_is_renamed() -> None:
    here = world()
    alice = await here.person()
    thread = await said(here, alice, "first")
    assert (await here.use_cases.chat.change_conversation(alice, thread, title="  New   name ")).title == "New name"
    for title in ("", "   ", "x" * 201):
        with pytest.raises(InvalidRequest):
            await here.use_cases.chat.change_conversation(alice, thread, title=title)


async def test_pinned_conversations_come_first_on_any_pages() -> None:
    here = world()
    alice, chat = await here.person(), here.use_cases.chat
    threads = [await said(here, alice, f"number {number}") for number in range(5)]
    pinned = [threads[3], threads[1]]
    for thread in pinned:
        assert (await chat.change_conversation(alice, thread, pinned=True)).pinned
    expected = [*pinned, threads[4], threads[2], threads[0]]
    for limit in (1, 2, 3, 9):
        seen, cursor = [], None
        while True:
            page = await chat.list_conversations(alice, limit=limit, cursor=cursor)
            seen += [each.id for each in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == expected
    found = await chat.list_conversations(alice, text="number 1")
    assert [each.id for each in found.items] == [threads[1]]
    await chat.change_conversation(alice, threads[3], pinned=False)
    assert [each.id for each in (await chat.list_conversations(alice, limit=2)).items] == [threads[1], threads[4]]
    with pytest.raises(InvalidRequest):
        await chat.list_conversations(alice, cursor="pinned.")


async def test_a_change_of_nothing_is_refused() -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvalidRequest):
        await here.use_cases.chat.change_conversation(alice, await said(here, alice, "first"))


async def test_deleting_a_conversation_erases_its_texts_and_keeps_its_figures() -> None:
    here = world()
    alice = await here.person()
    thread = await said(here, alice, "my secret")
    await here.use_cases.chat.delete_conversation(alice, thread)
    assert (await here.use_cases.chat.list_conversations(alice)).items == []
    assert (await here.use_cases.chat.list_history(alice)).items == []
    charge = (await here.use_cases.billing.list_transactions(alice)).items[0]
    assert charge.cause.subject
    asked = InteractionId(charge.cause.subject.id)
    interaction = await here.store.read(lambda snapshot: snapshot.interactions.get(asked))
    assert interaction
    assert (interaction.prompt, interaction.reply, interaction.credits_charged) == ("", "", 1)
    assert (await here.use_cases.audit.verify_ledger(print)).agrees
    with pytest.raises(NotFound):
        await here.use_cases.chat.read_conversation(alice, thread)


async def test_a_conversation_is_not_deleted_while_a_reply_is_written() -> None:
    here = world(engine=ControlledEngine(CATALOGUE))
    alice = await here.person()
    reply = await here.use_cases.chat.send_message(alice, Message(model=MINI, text="Hello"))
    with pytest.raises(Conflict):
        await here.use_cases.chat.delete_conversation(alice, reply.accepted.conversation_id)
    await reply.abandon()
    await here.use_cases.chat.delete_conversation(alice, reply.accepted.conversation_id)


async def test_somebody_elses_conversation_is_not_there() -> None:
    here = world()
    alice, bob = await here.person("alice"), await here.person("bob")
    thread = await said(here, alice, "mine")
    with pytest.raises(NotFound):
        await here.use_cases.chat.read_conversation(bob, thread)
    with pytest.raises(NotFound):
        await here.use_cases.chat.change_conversation(bob, thread, title="stolen")
    with pytest.raises(NotFound):
        await here.use_cases.chat.delete_conversation(bob, thread)
    with pytest.raises(NotFound):
        await here.use_cases.chat.read_branch(bob, thread)
    with pytest.raises(NotFound):
        await here.use_cases.chat.read_branch.spent(bob, thread)
    for text in (None, "mine"):
        assert (await here.use_cases.chat.list_conversations(bob, text=text)).items == []
    assert (await here.use_cases.chat.list_history(bob)).items == []
