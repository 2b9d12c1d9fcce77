"""The repositories of users and sessions, on every store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.repositories.users import UserFilter
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.accounts.passwords import PasswordLink
from chatbill.domain.accounts.sessions import RefreshToken, SessionEnd
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.errors import EmailTaken, InvariantViolation, UsernameTaken
from chatbill.domain.shared.ids import SessionId, UserId
from tests.contract.repositories.changes import write
from tests.kit.rows import ALICE, BOB, NOON, PURSE, add_running, charge, later, session, user

LINK = PasswordLink("digest", later(9))


class TestUsers:
    async def test_are_found_by_id_by_name_and_by_address(self, store: Store) -> None:
        def query(snapshot: Snapshot) -> list[Any]:
            users = snapshot.users
            return [users.get(ALICE), users.by_login("alice"), users.by_login("alice@example.org")]

        assert await store.read(query) == [user()] * 3

    @pytest.mark.parametrize("unknown", ["", "carol", "ALICE", "alice'--", "\ud800", "a" * 10_000])
    async def test_are_not_found_by_another_key(self, store: Store, unknown: str) -> None:
        assert await store.read(lambda snapshot: snapshot.users.by_login(unknown)) is None
        assert await store.read(lambda snapshot: snapshot.users.get(UserId(unknown))) is None

    async def test_names_and_addresses_are_unique_whatever_their_letter_case(self, store: Store) -> None:
        with pytest.raises(UsernameTaken):
            await store.write(lambda tx: tx.users.add(user("x", username="ALICE", wallet_id=PURSE)))
        with pytest.raises(EmailTaken):
            await store.write(lambda tx: tx.users.add(user("x", email="Alice@Example.org", wallet_id=PURSE)))
        assert await store.read(lambda snapshot: snapshot.users.get(UserId("x"))) is None

    async def test_are_saved_with_every_change(self, store: Store) -> None:
        changed = user(password_hash="other", role=UserRole.ADMIN, disabled_at=later(1), password_link=LINK)

        def work(tx: Transaction) -> Any:
            assert tx.users.lock(ALICE) == user()
            tx.users.save(changed)
            return tx.users.lock(ALICE)

        assert await store.write(work) == changed
        await store.write(lambda tx: tx.users.save(replace(changed, password_link=None)))
        assert await store.read(lambda snapshot: snapshot.users.get(ALICE)) == replace(changed, password_link=None)
        assert await store.write(lambda tx: tx.users.lock(UserId("nobody"))) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.users.save(user("nobody", wallet_id=PURSE)))

    async def test_are_selected_by_text_role_and_state_newest_first(self, store: Store) -> None:
        staff = user(
            "bob", id=BOB, role=UserRole.FINANCE, disabled_at=later(1), username="b_ob%", email="x@bücher.example"
        )

        def query(snapshot: Snapshot) -> list[list[str]]:
            chosen = [
                UserFilter(),
                UserFilter(text="_"),
                UserFilter(text="%"),
                UserFilter(text="BÜCHER"),
                UserFilter(text="lice@"),
                UserFilter(text="' OR 1 = 1 --"),
                UserFilter(text="\ud800"),
                UserFilter(role=UserRole.FINANCE),
                UserFilter(state=AccountState.ACTIVE),
                UserFilter(state=AccountState.SUSPENDED, role=UserRole.FINANCE, text="b"),
                UserFilter(state=AccountState.ERASED),
            ]
            return [[each.id for each in snapshot.users.newest(filters, after=None, limit=9)] for filters in chosen]

        await store.write(lambda tx: tx.users.save(staff))
        bob, alice = ["bob"], ["alice"]
        found = await store.read(query)
        assert found == [bob + alice, bob, bob, bob, alice, [], [], bob, alice, bob, []]
        erased = replace(staff, erased_at=later(2))
        await store.write(lambda tx: tx.users.save(erased))
        assert (await store.read(query))[-3:] == [alice, [], bob]
        page = await store.read(lambda snapshot: snapshot.users.newest(after=Position(NOON, BOB), limit=1))
        assert [each.id for each in page] == alice

    async def test_have_figures_of_their_wallets_and_sessions(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number, name in enumerate(("first", "second")):
                tx.sessions.add(session(name, last_seen_at=later(number)))
            add_running(tx)
            charge(tx, "first", 4)

        def figures(snapshot: Snapshot) -> Any:
            return snapshot.users.figures([ALICE, BOB, UserId("nobody")])

        before = await store.read(figures)
        await store.write(work)
        after = await store.read(figures)
        assert set(after) == {ALICE, BOB}
        assert after[BOB] == before[BOB]
        assert (before[ALICE].spent, before[ALICE].last_seen_at) == (0, None)
        expected = replace(before[ALICE], balance=before[ALICE].balance - 4, spent=4, last_seen_at=later(1))
        assert after[ALICE] == expected
        assert await store.read(lambda snapshot: snapshot.users.figures([])) == {}

    async def test_administrators_who_are_enabled_are_locked_by_id(self, store: Store) -> None:
        admins = [user(role=UserRole.ADMIN), user("bob", id=BOB, role=UserRole.ADMIN, disabled_at=later(1))]

        def work(tx: Transaction) -> list[str]:
            for admin in admins:
                tx.users.save(admin)
            return [each.id for each in tx.users.lock_administrators()]

        assert await store.write(work) == ["alice"]


class TestSessions:
    async def test_of_one_user_are_deleted_with_their_tokens(self, store: Store) -> None:
        def work(tx: Transaction) -> int:
            for name, person in (("a", ALICE), ("b", ALICE), ("c", BOB)):
                tx.sessions.add(session(name, user_id=person))
                tx.sessions.add_token(RefreshToken(digest=name, session_id=SessionId(name), issued_at=NOON))
            ended = session("b")
            ended.end(SessionEnd.SIGNED_OUT, at=later(1))
            tx.sessions.save(ended)
            return tx.sessions.erase_of(ALICE)

        assert await store.write(work) == 1

        def left(snapshot: Snapshot) -> list[str]:
            return [name for name in "abc" if snapshot.sessions.get(SessionId(name)) or snapshot.sessions.token(name)]

        assert await store.read(left) == ["c"]

    async def test_keep_how_they_ended(self, store: Store) -> None:
        mine = session(last_seen_at=later(1), address="192.0.2.7", client="curl")
        ended = replace(mine, last_seen_at=later(2))
        ended.end(SessionEnd.SIGNED_OUT, at=later(5))

        def work(tx: Transaction) -> Any:
            tx.sessions.add(mine)
            assert tx.sessions.lock(mine.id) == mine
            tx.sessions.save(ended)
            return tx.sessions.get(mine.id)

        assert await store.write(work) == ended
        assert await store.read(lambda snapshot: snapshot.sessions.get(SessionId("none"))) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.save(session("none")))

    async def test_live_ones_are_listed_by_person(self, store: Store) -> None:
        rows = (
            session("a"),
            session("b", ended_at=later(1), ended_because=SessionEnd.SIGNED_OUT),
            session("c", user_id=BOB),
            session("d"),
        )
        await write(store, *(lambda tx, row=row: tx.sessions.add(row) for row in rows))
        live = await store.read(lambda snapshot: snapshot.sessions.live_of(ALICE))
        assert {row.id for row in live} == {"a", "d"}

    async def test_tokens_are_spent_and_found_by_digest(self, store: Store) -> None:
        token = RefreshToken(digest="d1", session_id=SessionId("session"), issued_at=NOON)
        spent = replace(token, spent_at=later(9))
        await write(store, lambda tx: tx.sessions.add(session()), lambda tx: tx.sessions.add_token(token))
        assert await store.read(lambda snapshot: snapshot.sessions.token("d1")) == token
        await write(store, lambda tx: tx.sessions.save_token(spent))
        assert await store.read(lambda snapshot: snapshot.sessions.token("d1")) == spent
        assert await store.read(lambda snapshot: snapshot.sessions.token("d2")) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.add_token(token))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.save_token(replace(token, digest="d2")))

    async def test_expired_ones_are_forgotten_with_their_tokens_a_batch_at_a_time(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number in range(5):
                name = f"s{number}"
                tx.sessions.add(session(name, expires_at=later(number)))
                tx.sessions.add_token(RefreshToken(digest=name, session_id=SessionId(name), issued_at=NOON))

        await store.write(work)
        forgotten = [
            await store.write(lambda tx: tx.sessions.forget(expired_before=later(3), limit=2)) for _ in range(3)
        ]
        assert forgotten == [2, 1, 0]
        left = await store.read(lambda snapshot: [snapshot.sessions.token(f"s{n}") is not None for n in range(5)])
        assert left == [False, False, False, True, True]
        assert await store.read(lambda snapshot: snapshot.sessions.get(SessionId("s3"))) is not None
