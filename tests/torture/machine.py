"""The state machine of the tests on every store at once, with what administrators do: refunds and adjustments."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from tests.kit.ledger_sides import Question, Running, Side
from tests.test_state_machine import ANY, BOUNDED, KEYS, AuditInput
from tests.torture.bench import Figures, Task
from tests.torture.databases import has_store

REASON = "by hand"


class AllBooks(AuditInput):
    """Alice is an administrator too."""

    stores: ClassVar[Any] = tuple(name for name in ("memory", "sqlite", "postgres") if has_store(name))
    done: ClassVar = Counter[str]()

    def __init__(self) -> None:
        super().__init__()
        self.every: list[Running] = []
        self.refunded: Counter[int] = Counter()

    def teardown(self) -> None:
        super().teardown()
        self.done["examples"] += 1

    def told(self, act: Any, expected: str | None) -> None:
        self.done["requests"] += 1
        self.done["granted"] += expected is None
        super().told(act, expected)

    def ask(self, question: Question) -> None:
        before = len(self.running)
        super().ask(question)
        self.every += self.running[before:]

    def admin(self, side: Side) -> Principal:
        return replace(side.people["alice"], role=UserRole.ADMIN)

    @precondition(lambda self: self.every)
    @rule(which=ANY, amount=st.one_of(st.none(), st.integers(0, 3)))
    def somebody_is_given_back_what_they_paid(self, which: int, amount: int | None) -> None:
        number = which % len(self.every)
        asked, replies = self.every[number].asked, self.every[number].replies
        left = asked.charged - self.refunded[number]
        expected = None
        if left == 0:
            expected = "conflict"
        elif amount is not None and not 0 < amount <= left:
            expected = "invalid_request"
        else:
            self.refunded[number] += left if amount is None else amount
            self.model.people[asked.owner].post("refund", left if amount is None else amount)
        interactions = dict(zip(map(id, self.sides), (reply.accepted.interaction_id for reply in replies), strict=True))
        order = AdminAction(reason=REASON)
        self.told(
            lambda side: side.world.use_cases.administration.refund(
                self.admin(side), interactions[id(side)], order, amount
            ),
            expected,
        )

    @rule(name=st.sampled_from(["alice", "bob"]), amount=st.integers(-6, 4), key=st.one_of(st.none(), KEYS))
    def a_wallet_is_adjusted(self, name: str, amount: int, key: str | None) -> None:
        if name not in self.model.people:
            return
        person, keys, request = self.model.people[name], self.model.people["alice"].keys, ("adjust", name, amount)
        known, expected = keys.get(key) if key else None, None
        if known:
            expected = None if known[0] == request else "idempotency_mismatch"
        elif amount == 0 or person.posted - person.held + min(amount, 0) < 0:
            expected = "invalid_request"
        else:
            person.post("adjustment", amount)
            if key:
                keys[key] = (request, "adjusted")
        order = AdminAction(reason=REASON, idempotency_key=key)
        self.told(
            lambda side: side.world.use_cases.administration.adjust_credits(
                self.admin(side), side.people[name].user_id, amount, order
            ),
            expected,
        )


def run(task: Task) -> Figures:
    """So many examples of 40 steps; one that fails is shown as it was found."""
    machine = seed(task.chance.randrange(10**9))(AllBooks)
    problems = []
    try:
        run_state_machine_as_test(machine, settings=settings(BOUNDED, max_examples=task.size, database=None))
    except Exception as error:  # noqa: BLE001 - whatever differs
        problems.append("\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]))
    done = AllBooks.done
    return Figures(
        attempts=done["requests"],
        successes=done["granted"],
        cycles=done["examples"],
        problems=problems,
        notes=f"{', '.join(AllBooks.stores)} and a model, compared after each of up to 40 steps an example",
    )
