"""Define every table in memory, with the rules of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from chatbill.adapters.memory import rules
from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories.reports import RollUpRow
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.accounts.sessions import RefreshToken, Session
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.codes import RedeemCode
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.payments import Payment
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.monitoring.alerts import Alert
from chatbill.domain.reports.finance import CreditMovement
from chatbill.domain.shared.audit_trail import AuditRecord
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import ApiKeyId, UserId


class Tables:
    """Holds the tables of one store. `keys` has the values of unique columns other than the key, by their rule."""

    def __init__(self) -> None:
        self.users: Table[str, User] = Table(rules.check_user)
        self.sessions: Table[str, Session] = Table(rules.check_session)
        self.tokens: Table[str, RefreshToken] = Table()
        self.second_factors: Table[str, SecondFactor] = Table(rules.check_second_factor)
        self.api_keys: Table[str, ApiKey] = Table(rules.check_api_key)
        self.months: Table[tuple[ApiKeyId, datetime], KeyMonth] = Table(rules.check_key_month)
        self.wallets: Table[str, Wallet] = Table(rules.check_wallet)
        self.holds: Table[str, Hold] = Table(rules.check_hold)
        self.entries: Table[str, LedgerEntry] = Table(rules.check_entry)
        self.conversations: Table[str, Conversation] = Table()
        self.interactions: Table[str, Interaction] = Table(rules.check_interaction)
        self.stops: Table[str, datetime] = Table()
        self.codes: Table[str, RedeemCode] = Table(rules.check_code)
        self.payments: Table[str, Payment] = Table(rules.check_payment)
        self.records: Table[tuple[UserId, str], IdempotencyRecord] = Table(rules.check_idempotency)
        self.events: Table[int, BillingEvent] = Table()
        self.audit_trail: Table[str, AuditRecord] = Table()
        self.notes: Table[tuple[str, str], str] = Table()
        self.movements: Table[tuple[str, int], CreditMovement] = Table()
        self.rollups: Table[tuple[str, datetime, str], RollUpRow] = Table()
        self.jobs: Table[str, Job] = Table()
        self.alerts: Table[str, Alert] = Table()
        self.instances: Table[str, int] = Table()
        self.keys: Table[tuple[str, Any], str] = Table()

    def unique(self, rule: str, value: object, row_id: str) -> None:
        """Keep a unique value. Raises `InvariantViolation` where another row has it."""
        self.keys.insert((rule, value), row_id)

    def each(self) -> Iterator[Table[Any, Any]]:
        """Return all tables."""
        yield from vars(self).values()
