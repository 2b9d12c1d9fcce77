"""The routes of Gradio that carry events: a tab of one sign-in is closed to every other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.ports.rate_limits import Limit
from chatbill.entrypoints.ui import WebConfig
from chatbill.entrypoints.ui.events import MAX_STREAMS, MAX_UNANSWERED
from chatbill.entrypoints.ui.tabs import MAX_TABS_OF_PERSON
from tests.entrypoints.ui.scene import DATA, JOIN, PageScene, Person, page
from tests.kit.waiting import eventually


@pytest.fixture
async def here() -> AsyncIterator[PageScene]:
    async with page() as scene:
        yield scene


@pytest.fixture
async def alice(here: PageScene) -> Person:
    return await here.person("alice")


@pytest.fixture
async def bob(here: PageScene) -> Person:
    return await here.person("bob")


async def test_a_message_that_is_too_long_is_not_shown_as_if_it_was_sent(here: PageScene, alice: Person) -> None:
    long = "x" * 10_001
    answer = await alice.ask("send", long, "demo-mini", "new")
    assert "must be at most 10000 characters, this has 10001" in answer
    assert long in answer, "it stays in the text box"
    assert '"role": "user"' not in answer
    assert here.engine.generations == []


async def test_head_takes_no_answer_from_a_tab(here: PageScene, alice: Person) -> None:
    assert (await alice.join("open", "")).status_code == 200
    await eventually(lambda: here.blocks._queue.event_queue_per_concurrency_id is not None)
    for _ in range(3):
        head = await alice.client.head(DATA, params={"session_hash": alice.tab})
        assert head.status_code == 200
        assert head.headers["content-type"].startswith("text/event-stream")
    assert "alice" in await alice.answers()
    assert (await alice.client.head(DATA, params={"session_hash": "unknown"})).status_code == 404


async def asks(here: PageScene, person: Person, text: str = "Hello") -> None:
    """Send a message, and let its reply begin."""
    assert (await person.join("send", text, "demo-mini", "new")).status_code == 200
    await eventually(lambda: bool(here.engine.generations))
    here.engine.last.say("a secret")


async def test_what_a_tab_shows_cannot_be_read_by_another_person(here: PageScene, alice: Person, bob: Person) -> None:
    await asks(here, alice)
    stolen = await bob.client.get(DATA, params={"session_hash": alice.tab})
    assert stolen.status_code == 404
    assert "secret" not in stolen.text
    here.engine.last.end()
    own = await alice.answers()
    assert "a secret" in own
    assert "alice" in own


async def test_an_answer_goes_to_its_person_even_if_both_name_the_same_tab(
    here: PageScene, alice: Person, bob: Person
) -> None:
    bob.tab = alice.tab
    assert (await alice.join("open", "")).status_code == 200
    assert (await bob.join("open", "")).status_code == 200
    seen_by_bob, seen_by_alice = await bob.answers(), await alice.answers()
    assert "bob" in seen_by_bob
    assert "alice" not in seen_by_bob
    assert "alice" in seen_by_alice
    assert "bob" not in seen_by_alice


async def test_a_reply_cannot_be_stopped_by_another_person(here: PageScene, alice: Person, bob: Person) -> None:
    await asks(here, alice)
    [conversation] = await alice.conversations()
    for handler, values in (("stop", [conversation]), ("new", []), ("watch", [conversation])):
        await bob.join(handler, *values, tab=alice.tab)
        await bob.client.get(DATA, params={"session_hash": alice.tab})
    for path in ("cancel", "reset"):
        body = {"session_hash": alice.tab, "fn_index": here.handler("send"), "event_id": "any"}
        assert (await bob.client.post(f"/ui/gradio_api/{path}", json=body)).status_code == 404
    here.engine.last.say(", whole")
    here.engine.last.end()
    assert "a secret, whole" in await alice.answers()


async def test_another_sign_in_of_the_same_person_has_its_own_tabs(here: PageScene, alice: Person) -> None:
    await asks(here, alice)
    elsewhere = await here.sign_in("alice", tab=alice.tab)
    assert (await elsewhere.client.get(DATA, params={"session_hash": alice.tab})).status_code == 404
    here.engine.last.end()
    assert "a secret" in await alice.answers()


async def test_a_hash_is_useless_after_signing_out(here: PageScene, alice: Person) -> None:
    await asks(here, alice)
    cookie = alice.client.cookies["chatbill_session"]
    assert (await alice.client.delete("/web/session")).status_code == 204
    alice.client.cookies.set("chatbill_session", cookie)
    answer = await alice.client.get(DATA, params={"session_hash": alice.tab})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ui/gradio_api/cancel"),
        ("POST", "/ui/gradio_api/reset"),
        ("GET", "/ui/gradio_api/heartbeat/tabofalice"),
        ("POST", "/ui/gradio_api/run/send"),
        ("POST", "/ui/gradio_api/api/send"),
        ("POST", "/ui/gradio_api/call/send"),
        ("POST", "/ui/gradio_api/call/v2/send"),
        ("GET", "/ui/gradio_api/call/send/any"),
        ("POST", "/ui/gradio_api/stream/any"),
        ("POST", "/ui/gradio_api/component_server"),
        ("POST", "/ui/gradio_api/upload"),
        ("GET", "/ui/gradio_api/upload_progress"),
        ("GET", "/ui/gradio_api/deep_link?session_hash=tabofalice"),
        ("GET", "/ui/gradio_api/queue/data/?session_hash=tabofalice"),
        ("POST", "/ui/gradio_api/queue/join/"),
        ("GET", "/ui/gradio_api/run-history/records"),
        ("GET", "/ui/gradio_api/file=/etc/passwd"),
    ],
)
async def test_no_other_route_of_gradio_takes_a_tab(alice: Person, method: str, path: str) -> None:
    answer = await alice.client.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]},
        {"data": [["text"]]},
        {"data": []},
        {"data": ["", ""]},
        {"fn_index": 9_999},
        {"fn_index": -1},
        {"fn_index": None},
        {"session_hash": None},
        {"session_hash": ""},
        {"session_hash": "x" * 65},
        {"session_hash": ["tab"]},
    ],
)
async def test_events_that_the_page_does_not_send_are_refused(
    here: PageScene, alice: Person, change: dict[str, object]
) -> None:
    event = {"fn_index": here.handler("open"), "data": [""], "session_hash": alice.tab}
    assert (await alice.client.post(JOIN, json=event | change)).status_code == 400
    assert (await alice.client.post(JOIN, content=b"[]")).status_code == 400
    assert (await alice.client.post(JOIN, json=event)).status_code == 200


async def test_a_page_from_before_a_restart_can_go_on(here: PageScene, alice: Person) -> None:
    # This service has never shown the models or the conversations to the tab.
    await asks(here, alice)
    here.engine.last.end()
    assert '"success": true' in await alice.answers()
    assert "Choose a package first" in await alice.ask("confirm", "")
    assert "100 credits" in await alice.ask("choose", "small")


async def test_the_last_update_of_a_message_names_and_lists_its_conversation(here: PageScene, alice: Person) -> None:
    # Of updates that come together, Gradio's page may show only the last.
    await asks(here, alice)
    here.engine.last.end()
    async with alice.stream() as messages:
        last = [message async for message in messages][-1]
    assert last["msg"] == "process_completed"
    [conversation] = await alice.conversations()
    assert str(last["output"]["data"]).count(conversation) >= 3


async def test_a_closed_page_lets_its_reply_go_on(here: PageScene, alice: Person) -> None:
    await asks(here, alice)
    async with alice.stream() as messages:
        async for message in messages:
            if "a secret" in str(message):
                break
    await asyncio.sleep(1.5)
    here.engine.last.say(" and more")
    here.engine.last.end()
    await here.settled()
    back = await here.sign_in("alice", tab="anew")
    shown = await back.ask("open", "")
    assert "a secret and more" in shown
    assert "99 credits" in shown


async def test_a_running_reply_is_followed_from_another_browser_until_it_is_left(
    here: PageScene, alice: Person
) -> None:
    await asks(here, alice)
    phone = await here.sign_in("alice", tab="phone")
    shown = await phone.ask("open", "")
    [conversation] = await alice.conversations()
    assert conversation in shown
    assert (await phone.join("watch", conversation)).status_code == 200
    async with phone.stream() as messages:
        async for message in messages:
            if "a secret" in str(message):
                assert (await phone.join("new")).status_code == 200
                break
        left = str([message async for message in messages])
    assert "a secret" not in left
    here.engine.last.say(" and more")
    here.engine.last.end()
    assert "a secret and more" in await alice.answers()
    assert "a secret and more" in await phone.ask("pick", conversation)


async def test_a_late_event_shows_nothing_of_a_conversation_that_was_left(here: PageScene, alice: Person) -> None:
    await asks(here, alice)
    [conversation] = await alice.conversations()
    phone = await here.sign_in("alice", tab="phone")
    await phone.ask("open", "new")
    assert "a secret" not in await phone.ask("watch", conversation)


async def test_a_conversation_that_another_tab_continued_is_shown_when_the_page_is_looked_at(
    here: PageScene, alice: Person
) -> None:
    await asks(here, alice, "First")
    here.engine.last.end()
    await alice.answers()
    [conversation] = await alice.conversations()
    phone = await here.sign_in("alice", tab="phone")
    await phone.ask("open", conversation)
    assert "Hello" not in await phone.ask("refresh", conversation)
    await alice.join("send", "Second", "demo-mini", conversation)
    await eventually(lambda: len(here.engine.generations) == 2)
    here.engine.last.say("another answer")
    here.engine.last.end()
    await alice.answers()
    assert "another answer" in await phone.ask("refresh", conversation)
    assert "another answer" not in await phone.ask("refresh", conversation)


async def test_a_person_may_send_only_so_many_events() -> None:
    limit = Limit(name="events", times=3, window_s=3_600)
    async with page(rate_limits=MovingWindowRateLimits(), page_events=limit) as here:
        alice, bob = await here.person("alice"), await here.person("bob")
        assert [(await alice.join("newest", "")).status_code for _ in range(3)] == [200, 200, 200]
        refused = await alice.join("newest", "", tab="another")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 3_000
        assert "Too many requests" in refused.json()["detail"]
        assert (await bob.join("newest", "")).status_code == 200


async def test_a_service_keeps_only_the_newest_tabs_of_a_person(here: PageScene, alice: Person) -> None:
    for number in range(MAX_TABS_OF_PERSON + 5):
        assert (await alice.join("newest", "", tab=f"tab{number}")).status_code == 200
    queue = here.blocks._queue
    await eventually(lambda: len(here.blocks.state_holder.session_data) == MAX_TABS_OF_PERSON)
    await eventually(lambda: len(queue.pending_messages_per_session) == MAX_TABS_OF_PERSON)
    assert len(queue.pending_event_ids_session) == MAX_TABS_OF_PERSON
    assert (await alice.client.get(DATA, params={"session_hash": "tab0"})).status_code == 404
    assert "process_completed" in await alice.answers("tab14")


async def test_a_tab_that_fetches_no_answers_may_send_only_so_many_events(here: PageScene, alice: Person) -> None:
    for _ in range(MAX_UNANSWERED):
        assert (await alice.join("newest", "")).status_code == 200
    assert (await alice.join("newest", "")).status_code == 429
    await alice.answers()
    assert (await alice.join("newest", "")).status_code == 200


async def test_a_tab_may_have_only_so_many_streams(here: PageScene, alice: Person) -> None:
    await asks(here, alice)
    async with contextlib.AsyncExitStack() as streams:
        for _ in range(MAX_STREAMS):
            await streams.enter_async_context(alice.stream())
        assert (await alice.client.get(DATA, params={"session_hash": alice.tab})).status_code == 429


async def test_all_tabs_together_may_have_only_so_many_streams() -> None:
    async with page(WebConfig(max_streams=1)) as here:
        alice, bob = await here.person("alice"), await here.person("bob")
        await asks(here, alice)
        assert (await bob.join("newest", "")).status_code == 200
        async with alice.stream():
            assert (await bob.client.get(DATA, params={"session_hash": bob.tab})).status_code == 503

        async def may_stream() -> bool:
            return (await bob.client.get(DATA, params={"session_hash": bob.tab})).status_code == 200

        await eventually(may_stream)  # the service notices after a moment that the other stream is closed
