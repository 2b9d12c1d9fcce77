"""The shipped contract: chatbill's own stores and the one in the documentation pass it, and broken ones do not."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.store import Store
from chatbill.domain.shared.ids import UserId
from chatbill.testing.billing_machine import BillingMachine
from chatbill.testing.engine_contract import EngineContract
from chatbill.testing.fakes import InstantEngine
from chatbill.testing.store_contract import StoreContract
from tests.kit.rows import new_wallet, user
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import CATALOGUE

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"
LINES_OF_A_STORE = 80


def page() -> dict[str, Any]:
    """What the examples of the page define."""
    # SQLAlchemy looks up the annotations of a class in its module.
    module = sys.modules["page"] = ModuleType("page")
    defined: dict[str, Any] = vars(module)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, defined)  # noqa: S102 - our own examples
    return defined


class TestEveryStore(StoreContract):
    @pytest_asyncio.fixture(params=EVERY_STORE)
    async def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
        opened = STORES[request.param](tmp_path)
        yield opened
        await opened.close()

    def prepare_user(self, tx: BillingTransaction, user_id: UserId) -> None:
        everything: Any = tx
        everything.wallets.add(new_wallet(user_id))
        everything.users.add(user(user_id))


class TestTheStoreOfTheDocumentation(StoreContract):
    @pytest.fixture
    def store(self) -> BillingStore:
        store: BillingStore = page()["DictionaryStore"]()
        return store


class TestTheEngineOfTheDocumentation(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        engine: Engine = page()["ShoutingEngine"]()
        return engine


class TestTheInstantEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> InstantEngine:
        return InstantEngine(CATALOGUE)


TestTheMachineOnMemory = BillingMachine.TestCase


def failures(make: Callable[[], BillingStore]) -> set[str]:
    """The tests of the contract that a store does not pass."""
    contract, failed = StoreContract(), set()
    for name in (name for name in vars(StoreContract) if name.startswith("test_")):
        try:
            asyncio.run(getattr(contract, name)(make()))
        except (AssertionError, pytest.fail.Exception):
            failed.add(name)
    return failed


def test_a_store_that_settles_a_hold_twice_does_not_pass() -> None:
    defined = page()

    def broken() -> BillingStore:
        store = defined["DictionaryStore"]()
        store.kept.holds = defined["ForgetfulHolds"]()
        made: BillingStore = store
        return made

    assert failures(defined["DictionaryStore"]) == set()
    # The wallet still refuses to give back what it does not hold, but not for a hold beside another one.
    assert "test_a_hold_is_settled_once" in failures(broken)


def test_the_store_of_the_documentation_is_short() -> None:
    (block,) = re.findall(r"```python\n(import copy\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) < LINES_OF_A_STORE


def test_the_caption_shop_is_short() -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len([line for line in block.splitlines() if line.strip()]) < 60
