"""The repositories of idempotency keys and write checks, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.shared.idempotency import IdempotencyRecord, Refusal
from tests.contract.repositories.changes import write
from tests.kit.rows import ALICE, BOB, NOON


class TestWriteChecks:
    async def test_leave_nothing_behind_whoever_writes_them_at_once(self, store: Store) -> None:
        async def check(number: int) -> None:
            await store.write(lambda tx: tx.write_checks.write(f"check-{number % 5}"))

        await asyncio.gather(*map(check, range(20)))
        await write(store, *(lambda tx: tx.write_checks.write("again") for _ in range(2)))


class TestIdempotency:
    async def test_a_key_is_claimed_once_by_each_person(self, store: Store) -> None:
        first = IdempotencyRecord(user_id=ALICE, key="k", fingerprint="f", created_at=NOON, subject_id="s")
        second = replace(first, fingerprint="g", subject_id=None, refusal=Refusal(required=5, available=1))
        other = replace(second, user_id=BOB, refusal=Refusal(required=5, available=1, cap=10))
        assert await store.write(lambda tx: tx.idempotency.claim(first)) is None
        assert await store.write(lambda tx: tx.idempotency.claim(second)) == first
        assert await store.write(lambda tx: tx.idempotency.claim(other)) is None
        assert await store.read(lambda snapshot: snapshot.idempotency.get(ALICE, "k")) == first
        assert await store.read(lambda snapshot: snapshot.idempotency.get(BOB, "k")) == other
        assert await store.read(lambda snapshot: snapshot.idempotency.get(BOB, "l")) is None

    async def test_a_key_is_free_again_when_the_transaction_that_claimed_it_failed(self, store: Store) -> None:
        record = IdempotencyRecord(user_id=ALICE, key="k", fingerprint="f", created_at=NOON, subject_id="s")

        def work(tx: Transaction) -> None:
            assert tx.idempotency.claim(record) is None
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(work)
        assert await store.write(lambda tx: tx.idempotency.claim(record)) is None
