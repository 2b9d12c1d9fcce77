"""Wallets and the holds on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, literal_column

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Among, Statement, all_of, equals, limit, locking, update
from chatbill.adapters.persistence.sql.tables import holds, wallets
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.subjects import Owner, Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import HoldId, InstanceId, WalletId

WALLETS = Mapping(wallets, Wallet, nested("owner", Owner, kind="owner_kind", id="owner_id"))
_HOLDS = Mapping(holds, Hold, nested("subject", Subject, kind="subject_kind", id="subject_id"))
_WALLET_BY_ID = all_of(wallets, equals(wallets.c.id))
_GET_WALLET = Statement(_WALLET_BY_ID)
_WALLETS_AMONG = Statement(all_of(wallets, Among(wallets.c.id)))
_LOCK_WALLET = Statement(locking(_WALLET_BY_ID))
# A version never goes back, so a wallet that was read before another's entry cannot be written over it.
_SAVE_WALLET = update(
    wallets,
    *WALLETS.changing,
    where=(
        equals(wallets.c.id),
        equals(wallets.c.owner_kind),
        equals(wallets.c.owner_id),
        wallets.c.version <= bindparam("newest"),
    ),
)

# Written out, not a parameter: only so do partial indexes serve.
_PENDING = holds.c.state == literal_column("'pending'")
_GET_HOLD = Statement(all_of(holds, equals(holds.c.id)))
_DUE_HOLDS = Statement(
    all_of(holds, _PENDING, holds.c.expires_at <= bindparam("now"))
    .order_by(holds.c.expires_at, holds.c.id)
    .limit(limit())
)
_OF_INSTANCE = Statement(all_of(holds, _PENDING, equals(holds.c.instance_id)).limit(limit()))
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
_SAVE_HOLD = update(holds, *_HOLDS.changing, where=(equals(holds.c.id), _PENDING))


class SqlWallets:
    """Keeps wallets. None can promise more credits than it owns, or fewer than 0."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, wallet_id: WalletId) -> Wallet | None:
        return WALLETS.one(self._connection.one(_GET_WALLET, id=wallet_id))

    def among(self, ids: Sequence[WalletId]) -> list[Wallet]:
        return [WALLETS.read(row) for row in self._connection.all(_WALLETS_AMONG, among=json.dumps(ids))]

    def lock(self, wallet_id: WalletId) -> Wallet:
        wallet = WALLETS.one(self._connection.one(_LOCK_WALLET, id=wallet_id))
        if wallet is None:
            raise NotFound("wallet")
        return wallet

    def add(self, wallet: Wallet) -> None:
        self._connection.put(WALLETS.add, **WALLETS.values(wallet))

    def save(self, wallet: Wallet) -> None:
        self._connection.put(
            _SAVE_WALLET,
            **WALLETS.changes(wallet),
            owner_kind=wallet.owner.kind,
            owner_id=wallet.owner.id,
            newest=wallet.version,
            or_else=lambda: InvariantViolation(
                f"wallet {wallet.id} does not exist, has another owner, or entries after number {wallet.version}"
            ),
        )


class SqlHolds:
    """Holds that are settled once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, hold_id: HoldId) -> Hold | None:
        return _HOLDS.one(self._connection.one(_GET_HOLD, id=hold_id))

    def due(self, now: datetime, limit: int) -> list[Hold]:
        return list(map(_HOLDS.read, self._connection.stream(_DUE_HOLDS, now=now, limit=limit)))

    def of_instance(self, instance_id: InstanceId, limit: int) -> list[Hold]:
        rows = self._connection.stream(_OF_INSTANCE, instance_id=instance_id, limit=limit)
        return list(map(_HOLDS.read, rows))

    def add(self, hold: Hold) -> None:
        self._connection.put(_HOLDS.add, **_HOLDS.values(hold))

    def save_refund(self, hold: Hold) -> None:
        self._connection.put(
            _SAVE_REFUND,
            id=hold.id,
            refunded=hold.refunded,
            in_all=hold.refunded,
            or_else=lambda: InvariantViolation(f"hold {hold.id} cannot be refunded for {hold.refunded}"),
        )

    def save(self, hold: Hold) -> None:
        self._connection.put(
            _SAVE_HOLD, **_HOLDS.changes(hold), or_else=lambda: InvariantViolation(f"hold {hold.id} is not pending")
        )
