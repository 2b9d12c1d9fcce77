from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.administration.admin_action import AdminAction
from tests.kit.page import Page, Person, page
from tests.kit.staff import member
from tests.kit.support import CATALOGUE, PRO, world


@pytest.fixture
async def opened() -> AsyncIterator[Page]:
    async with page(world(engine=ScriptedEngine(CATALOGUE))) as opened:
        yield opened


@pytest.fixture
async def alice(opened: Page) -> Person:
    return await opened.person("alice")


def lines_of(shown: str) -> list[str]:
    """Return the messages of the list."""
    return re.findall(r'<a dir="auto" href="[^"]*">([^<]*)</a>', shown)


async def test_the_history_shows_each_message_with_its_cost_and_tokens_and_leads_to_it(alice: Person) -> None:
    assert "No messages yet." in await alice.view("history")
    turn = await alice.says("Why are there tides?", PRO)
    shown = await alice.view("history")
    assert f'href="c/{turn.conversation_id}?at={turn.id}">Why are there tides?</a>' in shown
    for part in ("Demo pro", "completed", "4 + 4", 'data-head="Credits">3<'):
        assert part in shown


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Three [[fail:before]]", "Two", "One"]),
        ({"model": "demo-pro"}, ["Two"]),
        ({"outcome": "failed"}, ["Three [[fail:before]]"]),
        ({"outcome": "completed", "q": "ONE"}, ["One"]),
        ({"q": "none of them"}, []),
        ({"from_": "2026-01-02"}, ["Three [[fail:before]]"]),
        ({"to": "2026-01-01"}, ["Two", "One"]),
    ],
)
async def test_the_history_is_filtered_and_exported_alike(
    alice: Person, asked: dict[str, str], expected: list[str]
) -> None:
    await alice.says("One")
    await alice.says("Two", PRO)
    alice.here.clock.advance(24 * 3_600)
    await alice.says("Three [[fail:before]]")
    shown = await alice.view("history", **asked)
    assert lines_of(shown) == expected
    assert ("Nothing was found." in shown) == (not expected)
    file = json.loads(await alice.view("/web/history/export", format="json", **asked))
    assert [item["prompt"] for item in file["items"]] == expected


async def test_a_message_is_cut_to_a_line_and_is_whole_on_demand(alice: Person) -> None:
    turn = await alice.says("first line\nsecond line " + "word " * 100)
    (line,) = lines_of(await alice.view("history"))
    assert line.startswith("first line second line word")
    assert len(line) <= 161
    whole = await alice.view(f"/web/history/{turn.id}")
    assert turn.prompt in whole


async def test_texts_of_people_are_escaped_and_those_of_models_are_markdown(alice: Person) -> None:
    turn = await alice.says("<script>alert(1)</script> **bold** <img src=x onerror=alert(2)>")
    whole = await alice.view(f"/web/history/{turn.id}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; **bold**" in whole
    assert "<strong>bold</strong>" in whole
    for shown in (whole, await alice.view("history"), await alice.view("history", q="<script>")):
        assert "<script" not in shown
        assert "<img" not in shown


async def test_a_failed_reply_says_why(alice: Person) -> None:
    turn = await alice.says("Break [[fail:before]]")
    assert "nothing was charged" in await alice.view(f"/web/history/{turn.id}")


async def test_a_refund_is_told_below_the_reply_and_in_the_history(opened: Page, alice: Person) -> None:
    turn = await alice.says("A bad answer")
    assert "returned" not in await alice.view("history")
    root = await member(opened.here)
    await opened.here.use_cases.administration.refund(root, turn.id, AdminAction(reason="Sorry"))
    for shown in (await alice.view("history"), await alice.view(f"c/{turn.conversation_id}")):
        assert re.search(r'cb-returned">1 credit returned, Jan 1, 2026', shown)
    assert "returned" not in await (await opened.person("bob")).view("history")


async def test_another_persons_messages_are_neither_listed_nor_shown_nor_exported(opened: Page, alice: Person) -> None:
    turn = await alice.says("A secret")
    bob = await opened.person("bob")
    assert "secret" not in await bob.view("history")
    assert "secret" not in await bob.view("/web/history/export")
    for wanted in (turn.id, "none", "x" * 65, "%00"):
        answer = await bob.client.get(f"/web/history/{wanted}")
        assert answer.status_code == 404
        assert "secret" not in answer.text


async def test_messages_of_a_deleted_conversation_are_gone(alice: Person) -> None:
    turn = await alice.says("Forget this")
    await alice.here.use_cases.chat.delete_conversation(alice.principal, turn.conversation_id)
    assert "Forget this" not in await alice.view("history")
    assert (await alice.client.get(f"/web/history/{turn.id}")).status_code == 404


async def test_pages_of_the_history_keep_the_filter(alice: Person) -> None:
    for number in range(21):
        await alice.says(f"Message {number}")
    await alice.says("Message by another", PRO)
    first = await alice.view("history", model="demo-mini", q="Message")
    (older,) = re.findall(r'href="history\?([^"]*)">Older', first)
    answer = await alice.client.get("/web/views/history?" + older.replace("&amp;", "&"))
    assert lines_of(answer.text) == ["Message 0"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "none"), ("outcome", "x"), ("from", "soon"), ("cursor", "x"), ("q", "x" * 201), ("q", "\x00")],
)
async def test_a_bad_filter_is_refused_in_words(alice: Person, field: str, value: str) -> None:
    answer = await alice.client.get("/web/views/history", params={field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    if field != "cursor":
        assert (await alice.client.get("/web/history/export", params={field: value})).status_code == 422


async def test_the_history_is_for_people_who_are_signed_in(alice: Person) -> None:
    turn = await alice.says("One")
    await alice.client.delete("/web/session")
    for path in ("views/history", "history/export", f"history/{turn.id}"):
        assert (await alice.client.get(f"/web/{path}")).status_code == 401
