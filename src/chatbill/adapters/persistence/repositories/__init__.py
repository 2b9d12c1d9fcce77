"""Repositories that use SQL, one file for each aggregate. All repositories of a transaction share one connection."""

from __future__ import annotations

from chatbill.adapters.persistence.audit.reader import SqlAuditReader
from chatbill.adapters.persistence.repositories.alerts import SqlAlerts
from chatbill.adapters.persistence.repositories.api_keys import SqlApiKeys
from chatbill.adapters.persistence.repositories.audit_trail import SqlAuditTrail
from chatbill.adapters.persistence.repositories.codes import SqlCodes
from chatbill.adapters.persistence.repositories.conversations import SqlConversations
from chatbill.adapters.persistence.repositories.idempotency import SqlIdempotency
from chatbill.adapters.persistence.repositories.instances import SqlInstances
from chatbill.adapters.persistence.repositories.interactions import SqlInteractions
from chatbill.adapters.persistence.repositories.jobs import SqlJobs
from chatbill.adapters.persistence.repositories.ledger import SqlLedger
from chatbill.adapters.persistence.repositories.outbox import SqlOutbox
from chatbill.adapters.persistence.repositories.payments import SqlPayments
from chatbill.adapters.persistence.repositories.reports import SqlReports
from chatbill.adapters.persistence.repositories.second_factors import SqlSecondFactors
from chatbill.adapters.persistence.repositories.sessions import SqlSessions
from chatbill.adapters.persistence.repositories.users import SqlUsers
from chatbill.adapters.persistence.repositories.wallets import SqlHolds, SqlWallets
from chatbill.adapters.persistence.repositories.write_checks import SqlWriteChecks
from chatbill.adapters.persistence.sql.connection import Connection


class SqlTransaction:
    """Every repository on one connection. It keeps no state, so one serves every transaction of the connection.

    As a snapshot it is used on a connection that refuses to write.
    """

    def __init__(self, connection: Connection) -> None:
        self.users = SqlUsers(connection)
        self.sessions = SqlSessions(connection)
        self.second_factors = SqlSecondFactors(connection)
        self.api_keys = SqlApiKeys(connection)
        self.wallets = SqlWallets(connection)
        self.holds = SqlHolds(connection)
        self.ledger = SqlLedger(connection)
        self.conversations = SqlConversations(connection)
        self.interactions = SqlInteractions(connection)
        self.payments = SqlPayments(connection)
        self.codes = SqlCodes(connection)
        self.idempotency = SqlIdempotency(connection)
        self.outbox = SqlOutbox(connection)
        self.audit_trail = SqlAuditTrail(connection)
        self.reports = SqlReports(connection)
        self.jobs = SqlJobs(connection)
        self.alerts = SqlAlerts(connection)
        self.instances = SqlInstances(connection)
        self.write_checks = SqlWriteChecks(connection)
        self.audit = SqlAuditReader(connection)
