"""Every rule of the tables has a test."""

from __future__ import annotations

from sqlalchemy import CheckConstraint

from chatbill.adapters.persistence.sql.tables import MAX_CREDITS, metadata
from chatbill.domain.billing.ledger import MAX_CREDITS as DOMAIN_MAX_CREDITS
from tests.adapters.persistence.sql.databases import sqlite_objects
from tests.adapters.persistence.sql.rules.test_changes import CHANGES
from tests.adapters.persistence.sql.rules.test_replacing import REPLACING
from tests.adapters.persistence.sql.rules.test_rows import ROWS
from tests.kit.stores import empty_database


def test_every_rule_of_the_tables_is_tried_here() -> None:
    checks = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert checks <= {name for rule, _, _ in ROWS for name in rule.split("|")}
    triggers = [sql for sql in sqlite_objects(empty_database()).values() if sql.startswith("CREATE TRIGGER")]
    assert triggers
    tried = {words for words, _ in CHANGES + REPLACING if words} | {rule.partition("|")[0] for rule, _, _ in ROWS}
    tried |= {"RAISE(IGNORE)", "audit_trail_are_counted"}
    assert [sql for sql in triggers if not any(words in sql for words in tried)] == []


def test_domain_and_database_agree_on_the_most_that_can_be_owned() -> None:
    assert MAX_CREDITS == DOMAIN_MAX_CREDITS
