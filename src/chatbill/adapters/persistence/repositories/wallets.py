"""Wallets and the holds on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, literal_column, select

from chatbill.adapters.persistence.repositories.interactions import interaction_of
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, limit, locking, update
from chatbill.adapters.persistence.sql.tables import holds, interactions, wallets
from chatbill.application.ports.repositories.holds import PendingInteraction
from chatbill.domain.billing.holds import Hold, HoldState
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import HoldId, WalletId

_WALLET_BY_ID = all_of(wallets, equals(wallets.c.id))
_GET_WALLET = Statement(_WALLET_BY_ID)
_LOCK_WALLET = Statement(locking(_WALLET_BY_ID))
_ADD_WALLET = insert(wallets)
# A version never goes back, so a wallet that was read before another's entry cannot be written over it.
_SAVE_WALLET = update(
    wallets,
    "posted",
    "held",
    "version",
    "overdraft",
    where=(equals(wallets.c.id), wallets.c.version <= bindparam("newest")),
)

# Written out, not a parameter: only so do partial indexes serve.
_PENDING = holds.c.state == literal_column("'pending'")
_GET_HOLD = Statement(all_of(holds, equals(holds.c.id)))
_DUE_HOLDS = Statement(
    select(*holds.c.values(), *interactions.c.values())
    .join_from(holds, interactions, interactions.c.hold_id == holds.c.id)
    .where(_PENDING, holds.c.expires_at <= bindparam("now"))
    .order_by(holds.c.expires_at, holds.c.id)
    .limit(limit())
)
_HOLD_COLUMNS = len(holds.c)
_ADD_HOLD = insert(holds)
_SAVE_REFUND = update(
    holds,
    "refunded",
    where=(
        equals(holds.c.id),
        holds.c.state == literal_column("'captured'"),
        # A parameter that is compared needs another name than the column that is set.
        holds.c.refunded < bindparam("in_all"),
        holds.c.captured >= bindparam("in_all"),
    ),
)
_SAVE_HOLD = update(holds, "state", "captured", "settled_at", where=(equals(holds.c.id), _PENDING))


class SqlWallets:
    """Wallets that can neither promise more than they own nor less than nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, wallet_id: WalletId) -> Wallet | None:
        row = self._connection.one(_GET_WALLET, id=wallet_id)
        return None if row is None else wallet_of(row)

    def lock(self, wallet_id: WalletId) -> Wallet:
        row = self._connection.one(_LOCK_WALLET, id=wallet_id)
        if row is None:
            raise NotFound("wallet")
        return wallet_of(row)

    def add(self, wallet: Wallet) -> None:
        self._connection.put(
            _ADD_WALLET,
            id=wallet.id,
            posted=wallet.posted,
            held=wallet.held,
            version=wallet.version,
            overdraft=wallet.overdraft,
        )

    def save(self, wallet: Wallet) -> None:
        self._connection.put(
            _SAVE_WALLET,
            id=wallet.id,
            posted=wallet.posted,
            held=wallet.held,
            version=wallet.version,
            overdraft=wallet.overdraft,
            newest=wallet.version,
            or_else=InvariantViolation(
                f"wallet {wallet.id} does not exist, or has entries after number {wallet.version}"
            ),
        )


class SqlHolds:
    """Holds that are settled once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, hold_id: HoldId) -> Hold | None:
        row = self._connection.one(_GET_HOLD, id=hold_id)
        return None if row is None else _hold(row)

    def due(self, now: datetime, limit: int) -> list[PendingInteraction]:
        rows = self._connection.stream(_DUE_HOLDS, now=now, limit=limit)
        return [PendingInteraction(interaction_of(row[_HOLD_COLUMNS:]), _hold(row[:_HOLD_COLUMNS])) for row in rows]

    def add(self, hold: Hold) -> None:
        self._connection.put(
            _ADD_HOLD,
            id=hold.id,
            wallet_id=hold.wallet_id,
            amount=hold.amount,
            created_at=hold.created_at,
            expires_at=hold.expires_at,
            state=hold.state.value,
            captured=hold.captured,
            refunded=hold.refunded,
            settled_at=hold.settled_at,
        )

    def save_refund(self, hold: Hold) -> None:
        self._connection.put(
            _SAVE_REFUND,
            id=hold.id,
            refunded=hold.refunded,
            in_all=hold.refunded,
            or_else=InvariantViolation(f"hold {hold.id} cannot be refunded for {hold.refunded}"),
        )

    def save(self, hold: Hold) -> None:
        self._connection.put(
            _SAVE_HOLD,
            id=hold.id,
            state=hold.state.value,
            captured=hold.captured,
            settled_at=hold.settled_at,
            or_else=InvariantViolation(f"hold {hold.id} is not pending"),
        )


def wallet_of(row: Row) -> Wallet:
    """The wallet that a row of its table describes."""
    id_, posted, held, version, overdraft = row
    return Wallet(id=id_, posted=posted, held=held, version=version, overdraft=overdraft)


def _hold(row: Row) -> Hold:
    id_, wallet_id, amount, created_at, expires_at, state, captured, refunded, settled_at = row
    return Hold(
        id=id_,
        wallet_id=wallet_id,
        amount=amount,
        created_at=created_at,
        expires_at=expires_at,
        state=HoldState(state),
        captured=captured,
        refunded=refunded,
        settled_at=settled_at,
    )
