"""The leases of processes and the holds of their work, on every store."""

from __future__ import annotations

from dataclasses import replace

from chatbill.application.billing.postings import keep_hold
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.shared.ids import InstanceId
from tests.contract.repositories.changes import write
from tests.kit.rows import PURSE, add_running, charge, interaction, promise

ONE, TWO = InstanceId("one"), InstanceId("two")


async def test_a_lease_is_one_row_that_is_renewed_and_forgotten(store: Store) -> None:
    await write(store, lambda tx: tx.instances.renew(ONE, 1), lambda tx: tx.instances.renew(TWO, 1))
    await write(store, lambda tx: tx.instances.renew(ONE, 2))
    assert await store.write(lambda tx: tx.instances.all()) == {ONE: 2, TWO: 1}
    await write(store, lambda tx: tx.instances.forget(ONE), lambda tx: tx.instances.forget(InstanceId("none")))
    assert await store.write(lambda tx: tx.instances.all()) == {TWO: 1}


async def test_pending_holds_are_found_by_the_process_that_does_the_work(store: Store) -> None:
    def hold_of(tx: Transaction, name: str, instance_id: InstanceId) -> Hold:
        made = promise(tx.wallets.lock(PURSE), running := interaction(name, held=1))
        hold = keep_hold(tx, replace(made, hold=replace(made.hold, instance_id=instance_id)))
        tx.interactions.add(running)
        return hold

    holds = await store.write(lambda tx: [hold_of(tx, name, ONE) for name in ("a", "b", "done")])
    await write(store, lambda tx: hold_of(tx, "c", TWO), lambda tx: add_running(tx, "d"))
    await write(store, lambda tx: charge(tx, "done", 1))
    found = await store.read(lambda snapshot: snapshot.holds.of_instance(ONE, 10))
    assert sorted(found, key=lambda hold: hold.id) == holds[:2]
    assert len(await store.read(lambda snapshot: snapshot.holds.of_instance(ONE, 1))) == 1
    assert await store.read(lambda snapshot: snapshot.holds.of_instance(InstanceId("none"), 10)) == []
    kept = await store.read(lambda snapshot: snapshot.holds.get(holds[2].id))
    assert kept is not None
    assert (kept.is_pending, kept.instance_id) == (False, ONE)
