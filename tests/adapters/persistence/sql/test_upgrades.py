"""Databases full of what earlier programs wrote climb to the newest schema: nothing is lost and everything works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.events import EventKind
from chatbill.domain.billing.payments import PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Conflict, InsufficientCredits
from chatbill.domain.shared.ids import ApiKeyId, ConversationId, InteractionId, PaymentId, SessionId, WalletId
from chatbill.testing import ManualClock
from tests.kit.postgres import shared
from tests.kit.support import PASSWORD, World, world

BOOKS = {revision: Path(__file__).with_name(f"books_of_{revision}.sql") for revision in ("0001", "0007")}
"""The rows of a revision; those of 0007 lie beside those of 0001."""
TABLES = (
    *("wallets", "users", "sessions", "refresh_tokens", "conversations", "holds", "interactions", "payments"),
    *("ledger_entries", "idempotency_keys"),
)
ADDED: dict[str, Any] = {
    "listed": True,
    "api_key_id": None,
    "refusal_cap": None,
    "cached": False,
    "stop_asked_at": None,
}
ADDED |= {"pinned": False, "temporary": False}
ADDED |= {"first_token_ms": None, "parent_id": None, "branched": False, "bonus": 0}
ADDED |= {"locale": None, "time_zone": "UTC", "limit_day": None, "limit_month": None, "low_balance": None}
ADDED |= {"email_verified_at": None, "email_link": None, "email_link_expires_at": None, "welcome_due": False}
"""Columns of revisions 0002 to 0023, and what they say of rows from before."""
SENTENCES = {
    "welcome_credits": "Welcome credits",
    "reply": "Reply by {model}",
    "top_up": "Top-up, {package}",
    "by_hand": "{reason}",
    "text": "{text}",
}
"""What programs before 0008 stored in place of a description."""
NEXT_DAY = datetime(2026, 1, 2, 12, tzinfo=UTC)
VERSION_OF_OLD = """-- Alembic's own version table, as that program used it.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('{revision}');
DROP TABLE chatbill_version
"""
RIVER = 'Which river — "la Seine"? 🌊\nAnd\ttabs.'

Run = Callable[[str], list[dict[str, Any]]]


def on_sqlite(url: str, statement: str) -> list[dict[str, Any]]:
    connection = load_driver().connect(url.removeprefix("sqlite:///"))
    try:
        if statement.startswith("--"):
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(statement)
            return []
        cursor = connection.execute(statement)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
    finally:
        connection.close()


def on_postgres(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def rows(run: Run) -> dict[str, list[dict[str, Any]]]:
    return {table: sorted(run(f"SELECT * FROM {table}"), key=str) for table in TABLES}  # noqa: S608 - our own names


def as_of(
    like: dict[str, list[dict[str, Any]]], found: dict[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """The rows found with the columns that the rows `like` have, and with sentences."""
    return {
        table: sorted(({name: sentence(row[name]) for name in like[table][0]} for row in each), key=str)
        for table, each in found.items()
    }


def sentence(value: Any) -> Any:
    """What a description was called before, and any other value as it is."""
    if not isinstance(value, str) or not value.startswith('{"code":'):
        return value
    description = Description.loads(value)
    return SENTENCES.get(description.code, description.code).format(**description.params)


@pytest.fixture(params=["0001", "0007"])
def revision(request: pytest.FixtureRequest) -> str:
    """The revision at which the database was filled."""
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def filled(request: pytest.FixtureRequest, tmp_path: Path, revision: str) -> tuple[str, Run]:
    """The address of a filled database of an old revision, and a way to look into it."""
    url = shared().empty() if request.param == "postgres" else sqlite_url(tmp_path / "old.sqlite3")
    on_it = on_postgres if request.param == "postgres" else on_sqlite
    schema.upgrade(url, revision)
    on_it(url, VERSION_OF_OLD.format(revision=revision))
    for made_by, books in BOOKS.items():
        if made_by <= revision:
            on_it(url, books.read_text())
    return url, lambda statement: on_it(url, statement)


async def differences(of: World) -> list[Difference]:
    found: list[Difference] = []
    await of.use_cases.audit.verify_ledger(found.append)
    return found


def test_every_row_is_what_it_was_and_new_columns_say_what_is_true_of_old_rows(
    filled: tuple[str, Run], revision: str
) -> None:
    url, run = filled
    before = rows(run)
    schema.upgrade(url)
    after = rows(run)

    assert all(before[table] for table in TABLES)
    assert as_of(before, after) == as_of(before, before)
    if revision == "0001":
        assert {name: row[name] for each in after.values() for row in each for name in row if name in ADDED} == ADDED
    assert schema.drift(url) == []


def test_old_wallets_and_holds_say_whose_and_what_for_they_are(filled: tuple[str, Run], revision: str) -> None:
    url, run = filled
    schema.upgrade(url)
    found = rows(run)

    owners = {row["id"]: (row["owner_kind"], row["owner_id"]) for row in found["wallets"]}
    users = {row["wallet_id"]: ("user", row["id"]) for row in found["users"]}
    subjects = {row["id"]: (row["subject_kind"], row["subject_id"]) for row in found["holds"]}
    requests = {row["hold_id"]: ("interaction", row["id"]) for row in found["interactions"]}
    purposes = {row["hold_id"]: Description.of("reply", model=row["model"]) for row in found["interactions"]}
    is_new = revision == "0007"
    assert owners == users | ({"app-01": ("unknown", "app-01")} if is_new else {})
    assert subjects == requests | {hold: ("unknown", hold) for hold in ("app-02", "app-03") if is_new}
    unknown = {hold: Description.of("unknown") for hold in ("app-02", "app-03") if is_new}
    assert {row["id"]: Description.loads(row["purpose"]) for row in found["holds"]} == purposes | unknown
    told = {row["id"]: Description.loads(row["description"]) for row in found["ledger_entries"]}
    assert told["old-39"] == Description.of("by_hand", reason="the reply was cut off")
    if is_new:
        assert told["old-59"] == Description.of("reply", model='demo "mini" \\ ü')
        assert told["app-05"] == Description.of("text", text="A caption")


async def test_the_books_verify_before_and_after_what_is_unfinished_is_swept(
    filled: tuple[str, Run], revision: str
) -> None:
    url, _ = filled
    schema.upgrade(url)
    of = world(store=open_store(url), clock=ManualClock(datetime(2026, 1, 2, 0, 10, tzinfo=UTC)))

    assert await differences(of) == []
    of.clock.now = NEXT_DAY
    unfinished = 2 if revision == "0007" else 1
    assert [difference.rule for difference in await differences(of)] == ["expiry"] * unfinished
    assert await of.use_cases.maintenance.expire_holds() == unfinished
    assert await differences(of) == []
    swept = await of.store.read(lambda snapshot: snapshot.interactions.get(InteractionId("old-44")))
    assert swept
    assert (swept.outcome, swept.credits_charged, swept.balance_after) == (Outcome.INTERRUPTED, 0, 195)
    await of.store.close()


async def test_people_find_everything_and_go_on_where_they_were(filled: tuple[str, Run]) -> None:
    url, _ = filled
    schema.upgrade(url)
    of = world(store=open_store(url), clock=ManualClock(NEXT_DAY))
    use_cases = of.use_cases
    await use_cases.maintenance.expire_holds()

    alice = (await use_cases.accounts.sign_in(Credentials(login="ALICE", password=PASSWORD))).principal
    bob = (await use_cases.accounts.sign_in(Credentials(login="bob@example.org", password=PASSWORD))).principal
    zoe = (await use_cases.accounts.sign_in(Credentials(login="zoë", password=PASSWORD))).principal
    history = (await use_cases.chat.list_history(alice, limit=100)).items
    assert [row.prompt for row in history][1:] == [
        "[[fail:after:2]] break please",
        RIVER,
        "What's the capital of France?",
    ]
    conversations = (await use_cases.chat.list_conversations(alice, limit=100)).items
    assert [row.title for row in conversations] == ["[[sleep:600]] never answered", "What's the capital of France?"]

    # The key of then still gives the answer of then, free of charge; so do a purchase and a refusal.
    first = Message(model="demo-mini", text="What's the capital of France?", idempotency_key="first-question")
    assert isinstance(await use_cases.chat.send_message(alice, first), Replay)
    again = await use_cases.billing.place_order(alice, Order(package="small", idempotency_key="one-purchase"))
    assert again.payment.balance_after == 195
    with pytest.raises(InsufficientCredits) as refused:
        await use_cases.chat.send_message(zoe, Message(model="demo-pro", text="too dear", idempotency_key="refused"))
    assert (refused.value.required, refused.value.available) == (3, 1)

    # The old conversation goes on, paid for by a new key of an old account.
    issued = await use_cases.accounts.create_api_key(alice, NewApiKey(name="ci", monthly_cap=2))
    program = await use_cases.accounts.authenticate_key(issued.text)
    message = Message(model="demo-mini", text="And now?", conversation_id=ConversationId("old-14"))
    reply = await use_cases.chat.send_message(program, message)
    assert isinstance(reply, Reply)
    ended = (await reply.finished()).interaction
    assert (ended.credits_charged, ended.balance_after) == (1, 194)
    # What was said before was read back, and what was erased was not.
    assert ended.usage.prompt_tokens > 20
    assert len((await use_cases.chat.list_history(alice, limit=100)).items) == len(history) + 1

    by_hand = AdminAction(reason="the rest")
    assert (await use_cases.administration.refund(alice, InteractionId("old-35"), by_hand)).amount == 1
    with pytest.raises(Conflict):
        await use_cases.administration.refund(alice, InteractionId("old-35"), by_hand)
    await use_cases.billing.place_order(zoe, Order(amount=5))
    wallets = [await use_cases.billing.read_balance(person) for person in (alice, bob, zoe)]
    assert [(wallet.posted, wallet.held) for wallet in wallets] == [(194, 0), (124, 0), (6, 0)]
    assert await differences(of) == []
    await of.store.close()


async def test_old_keys_keep_the_rights_that_were_documented(filled: tuple[str, Run], revision: str) -> None:
    url, _ = filled
    schema.upgrade(url)
    store = open_store(url)
    keys = await store.read(lambda snapshot: [snapshot.api_keys.get(ApiKeyId(name)) for name in ("old-53", "old-54")])
    assert [key.scopes for key in keys if key] == [{"chat", "billing"}] * (2 if revision == "0007" else 0)
    await store.close()


async def test_old_sessions_say_nothing_of_their_use_and_new_ones_do(filled: tuple[str, Run]) -> None:
    url, _ = filled
    schema.upgrade(url)
    of = world(store=open_store(url), clock=ManualClock(NEXT_DAY))
    credentials = Credentials(login="alice", password=PASSWORD, address="192.0.2.7", client="curl")
    signed_in = await of.use_cases.accounts.sign_in(credentials)
    sessions = await of.store.read(lambda snapshot: snapshot.sessions.live_of(signed_in.principal.user_id))
    by_id = {each.id: each for each in sessions}
    new, old = by_id.pop(signed_in.principal.session_id or SessionId("")), by_id.values()
    assert old
    assert (new.last_seen_at, new.address, new.client) == (NEXT_DAY, "192.0.2.7", "curl")
    assert {(each.last_seen_at, each.address, each.client) for each in old} == {(None, None, None)}
    await of.store.close()


async def test_what_was_written_since_survives_the_way_back_and_up_again(filled: tuple[str, Run]) -> None:
    url, run = filled
    schema.upgrade(url)
    store = open_store(url)
    of = world(store=store, clock=ManualClock(NEXT_DAY))
    await of.use_cases.maintenance.expire_holds()
    bob = (await of.use_cases.accounts.sign_in(Credentials(login="bob", password=PASSWORD))).principal
    issued = await of.use_cases.accounts.create_api_key(bob, NewApiKey(name="ci", monthly_cap=9))
    program = replace(bob, api_key_id=ApiKeyId(issued.key.id))
    reply = await of.use_cases.chat.send_message(program, Message(model="demo-pro", text="by a program", history=()))
    assert isinstance(reply, Reply)
    await reply.finished()
    await store.close()
    before = rows(run)

    schema.downgrade(url, "0001")
    below = rows(run)
    assert below == as_of(below, before)
    schema.upgrade(url)
    assert as_of(below, rows(run)) == below
    of = world(store=open_store(url), clock=ManualClock(NEXT_DAY))
    assert await differences(of) == []
    await of.store.close()


async def test_what_an_older_program_cannot_say_leaves_books_that_agree(filled: tuple[str, Run]) -> None:
    """Money that went back, a payment that failed, and a charge for something that is no reply."""
    url, run = filled
    schema.upgrade(url)
    of = world(store=open_store(url), clock=ManualClock(NEXT_DAY))
    use_cases = of.use_cases
    await use_cases.maintenance.expire_holds()
    for status in (PaymentStatus.REFUNDED, PaymentStatus.REFUNDED):
        await use_cases.billing.confirm_payment(PaymentEvent(payment_id=PaymentId("old-27"), status=status))
    subject, purpose = Subject("caption", "c1"), Description.of("caption", size="large")
    async with use_cases.billing.charges.hold(WalletId("old-06"), 4, purpose, subject, 60) as charge:
        charge.cost = 2
    events = await use_cases.billing.list_events()
    assert [(each.event.kind, each.event.amount) for each in events][-2:] == [
        (EventKind.ADJUSTED, -100),
        (EventKind.CHARGED, -2),
    ]
    assert await differences(of) == []
    await of.store.close()

    schema.downgrade(url, "0007")
    (back,) = run(
        "SELECT author, payment_id, description FROM ledger_entries WHERE amount = 100 AND kind = 'adjustment'"
    )
    assert tuple(back.values()) == ("old-01", None, "Refunded, small")
    assert run("SELECT status FROM payments WHERE id = 'old-27'") == [{"status": "confirmed"}]
    schema.upgrade(url)
    of = world(store=open_store(url), clock=ManualClock(NEXT_DAY))
    assert await differences(of) == []
    await of.store.close()
