"""An audit trail, or a code, that was tampered with: the audit names the rule that was broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.application.billing.redeem import Redemption
from chatbill.application.chat.messages import Message
from chatbill.domain.audit.proof import Difference
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import AuditRecordId
from tests.adapters.persistence.audit.test_audit import Database, is_sqlite, postgres, sqlite
from tests.kit.rows import audit_record
from tests.kit.staff import member
from tests.kit.support import MINI, world

WHY = AdminAction(reason="Sorry")
ADJUSTED, REFUNDED, REDEEMED, MADE = (
    f" WHERE action = '{name}'" for name in ("credits.adjusted", "credits.refunded", "code.redeemed", "code.made")
)
REMOVED, SET = "DELETE FROM audit_trail", "UPDATE audit_trail SET "
TAMPERING = [
    *(("trail", REMOVED + which) for which in (ADJUSTED, REFUNDED, REDEEMED, MADE, "")),
    ("trail", "UPDATE audit_trail_counts SET records = records + 1"),
    ("trail", "DELETE FROM audit_trail_counts"),
    *(("trail", SET + "id = 'x' || id" + which) for which in (ADJUSTED, REFUNDED, REDEEMED)),
    ("trail", SET + "actor = NULL" + ADJUSTED),
    ("trail", SET + """after = '{"amount":1}'""" + ADJUSTED),
    ("trail", SET + "after = '{}'" + REDEEMED),
    ("trail", SET + "at = '2027-01-01T12:00:09.000000Z'" + REFUNDED),
    ("trail", SET + "action = 'credits.refunded'" + ADJUSTED),
    ("trail", SET + "action = 'user.suspended'" + ADJUSTED),
    ("trail", SET + "action = 'credits.adjusted'" + MADE),
    ("reference", SET + "actor = 'none'" + MADE),
    ("readable", SET + "action = 'user.crowned'" + MADE),
    ("readable", SET + "before = '[]'" + MADE),
    ("readable", SET + "after = 'x'" + MADE),
    ("codes", "UPDATE redeem_codes SET credits = 49"),
    ("codes", "UPDATE redeem_codes SET uses = 0"),
    ("codes", "DELETE FROM redeem_codes"),
    ("rules", "DROP INDEX uq_ledger_entries_code_of_wallet"),
]


@pytest_asyncio.fixture(params=[sqlite, pytest.param(postgres, marks=pytest.mark.postgres)])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Alice, whose credits were adjusted and refunded by an administrator, and who redeemed a code."""
    make: Callable[[Path], Database] = request.param
    database = make(tmp_path)
    store = open_store(database.url)
    here = world(store=store)
    alice, root = await here.person(), await member(here)
    administration = here.use_cases.administration
    reply = await here.use_cases.chat.send_message(alice, Message(model=MINI, text="hello"))
    await reply.finished()
    await administration.adjust_credits(root, alice.user_id, 5, WHY)
    await administration.adjust_credits(root, alice.user_id, -3, WHY)
    await administration.refund(root, reply.accepted.interaction_id, WHY)
    code = await administration.create_code(root, NewCode(credits=50))
    await here.use_cases.billing.redeem(alice, Redemption(code=code.text))
    await store.close()
    return database


async def differences(database: Database) -> list[Difference]:
    found: list[Difference] = []
    store = open_store(database.url)
    await world(store=store).use_cases.audit.verify_ledger(found.append)
    await store.close()
    return found


async def test_an_honest_trail_agrees(books: Database) -> None:
    assert await differences(books) == []


@pytest.mark.parametrize(("rule", "sql"), TAMPERING, ids=[sql for _, sql in TAMPERING])
async def test_what_was_tampered_with_is_named_and_nothing_else(books: Database, rule: str, sql: str) -> None:
    books.tamper(sql)
    assert {difference.rule for difference in await differences(books)} == {rule}


async def test_a_record_that_was_removed_is_named_by_its_entry(books: Database) -> None:
    books.tamper(REMOVED + REFUNDED)
    found = {difference.subject.split()[0]: difference.detail for difference in await differences(books)}
    assert found["entry"] == "was made by a person, and the audit trail has no record of it"


async def test_entries_from_before_the_trail_need_no_record(books: Database) -> None:
    books.tamper(REMOVED)
    books.tamper("UPDATE audit_trail_counts SET records = 0")
    assert await differences(books) == []


async def test_a_trail_that_was_emptied_is_noticed_also_where_no_credits_moved(books: Database) -> None:
    books.tamper(REMOVED)
    (difference,) = await differences(books)
    assert (difference.subject, difference.detail) == ("the audit trail", "has 0 records, and got 8")


async def test_records_that_come_in_at_once_are_all_counted(books: Database) -> None:
    store = open_store(books.url)
    made = [
        audit_record(id=AuditRecordId(f"made-{number}"), actor=None, action=AuditAction.SIGN_IN_FAILED)
        for number in range(40)
    ]
    await asyncio.gather(*(store.write(lambda tx, each=each: tx.audit_trail.append(each)) for each in made))  # type: ignore[misc]
    await store.close()
    assert await differences(books) == []


async def test_a_moment_of_the_trail_that_no_program_writes_is_named(books: Database) -> None:
    moment = "soon" if is_sqlite(books) else "infinity"
    books.tamper(SET + f"at = '{moment}'" + MADE)
    assert {difference.rule for difference in await differences(books)} == {"readable"}


@pytest.mark.parametrize(
    "name", ["audit_trail_stay", "audit_trail_stays_as_it_is", "audit_trail_are_counted", "users_stay_erased"]
)
async def test_a_trigger_that_is_lost_is_named(books: Database, name: str) -> None:
    table = "users" if name.startswith("users") else "audit_trail"
    if is_sqlite(books):
        connection = load_driver().connect(books.url.removeprefix("sqlite:///"))
        connection.execute(f"DROP TRIGGER {name}")
        connection.close()
    else:
        books.tamper(f"DROP TRIGGER {name} ON {table}")
    assert [difference.detail for difference in await differences(books)] == [f"lacks the trigger {name}"]
