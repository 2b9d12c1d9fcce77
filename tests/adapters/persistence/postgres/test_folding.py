"""Servers of one process that fold letter case in different ways."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Text, select

from chatbill.adapters.persistence import sharing
from chatbill.adapters.persistence.postgres.driver import case_folding, load_driver
from chatbill.adapters.persistence.sql.prefix import NO_PREFIX
from chatbill.adapters.persistence.sql.statements import ContainsText, Statement

pytestmark = pytest.mark.postgres


def test_each_store_of_a_process_asks_its_own_server() -> None:
    driver, title = load_driver(), Column("title", Text)
    newer, older = case_folding(180_000, has_icu=True), case_folding(170_000, has_icu=True)
    one, other = (sharing._postgres_database(driver, NO_PREFIX, each) for each in (newer, older))
    for statement in (Statement(select(title).where(ContainsText(title))) for _ in range(2)):
        assert newer.format("title") in one.prepared(statement).sql
        assert older.format("title") in other.prepared(statement).sql
        one, other, newer, older = other, one, older, newer
