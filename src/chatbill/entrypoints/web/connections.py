"""Bounds the connections of clients, by address and in all, and the bytes that wait to be read by them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from chatbill.entrypoints.web.addresses import ClientAddresses

BODY_GRACE_S: Final = 0.5
"""How long a body may take to come before its request makes room for another one, if the bound is reached."""

_SIGNED_IN: Final = "chatbill.signed_in"

_log = logging.getLogger(__name__)


def mark_signed_in(scope: Any) -> None:
    """Note that a signed-in person sent this request, so that the connection is kept while others can be dropped."""
    scope.setdefault("state", {})[_SIGNED_IN] = True


def is_signed_in(scope: Any) -> bool:
    """Return whether a signed-in person is known to have sent this request."""
    return bool(scope.get("state", {}).get(_SIGNED_IN))


class Stage(IntEnum):
    """What a connection that waits for its client has received of a request."""

    NOTHING = 0
    PART_OF_HEAD = 1
    PART_OF_BODY = 2


class Connection(Protocol):
    """A connection of a client. `address` is the one that limits count; None is exempt from them.

    `is_signed_in` tells whether its last request came from a signed-in person. `waiting_since` is the time of the event
    loop at which it began to wait for a request, or for the rest of one.
    """

    address: str | None
    is_signed_in: bool
    waiting_since: float

    @property
    def stage(self) -> Stage | None:
        """Return what was received of the request; None while a request is answered."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """Return the bytes that the client has not taken."""
        ...

    def drop(self) -> None:
        """Disconnect the client at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionBounds:
    """The most connections on which requests are answered, in all and of one address.

    `spare` more may wait for their clients, so that a request over the bounds can be refused. `unsent_bytes` is the
    most that clients may leave unread. Connections of `trusted_proxies` are counted in all, but not by address.
    `uncounted` returns the number of connections that are not counted, such as those of waiting sign-ins.
    """

    in_all: int = 800
    per_address: int = 400
    spare: int = 64
    unsent_bytes: int = 64 * 1_048_576
    trusted_proxies: tuple[str, ...] = ()
    uncounted: Callable[[], int] = lambda: 0


class Connections:
    """The connections of one server.

    A connection that waits for its client takes no place from a request. If there are too many of them, a new one
    replaces another: one without a signed-in person, of the address with the most connections, that has received least,
    and of these the oldest.
    """

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._addresses = ClientAddresses.behind(bounds.trusted_proxies)
        self._all: set[Connection] = set()
        self._of_address: defaultdict[str | None, set[Connection]] = defaultdict(set)
        # In the order in which they began to leave bytes unread.
        self._unread: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def unread_bytes(self) -> int:
        """Return how many bytes clients have not taken."""
        return sum(each.unsent_bytes for each in self._unread)

    def address_of(self, peer: tuple[str, int] | None) -> str | None:
        """Return the address by which a peer is counted; None for a trusted proxy and for a Unix socket."""
        scope: Any = {"client": peer, "headers": []}
        address, proxies = self._addresses.client_of(scope)
        return None if address is None or proxies else self._addresses.of(scope)

    def add(self, connection: Connection) -> bool:
        """Count a new connection. Return False if its requests must be refused, because too many are being answered."""
        extra, neighbours = self._bounds.uncounted() + self._bounds.spare, self._of_address[connection.address]
        is_accepted = True
        if connection.address is not None and len(neighbours) >= self._bounds.per_address + extra:
            is_accepted = self._drop_one(neighbours)
        if len(self._all) >= self._bounds.in_all + extra:
            is_accepted = self._drop_one(self._all) and is_accepted
        self._all.add(connection)
        self._of_address[connection.address].add(connection)
        return is_accepted

    def has_place(self, connection: Connection, *, now: float) -> bool:
        """Return whether a request of this connection is within the bounds; `now` is the time of the event loop.

        A request whose body does not come makes room for it.
        """
        extra, neighbours = self._bounds.uncounted(), self._of_address[connection.address]
        most = self._bounds.per_address + extra
        if connection.address is not None and not self._makes_room(neighbours, most, now):
            return False
        return self._makes_room(self._all, self._bounds.in_all + extra, now)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed. Later calls change nothing."""
        self._all.discard(connection)
        self._unread.pop(connection, None)
        neighbours = self._of_address[connection.address]
        neighbours.discard(connection)
        if not neighbours:
            del self._of_address[connection.address]

    def leaves_unread(self, connection: Connection) -> None:
        """Note that a client does not take what is sent. Too many bytes disconnect those that began this first."""
        self._unread[connection] = None
        while self.unread_bytes > self._bounds.unsent_bytes:
            self._drop(next(iter(self._unread)), "clients leave too many bytes unread")

    def reads_again(self, connection: Connection) -> None:
        """Note that a client has taken everything."""
        self._unread.pop(connection, None)

    def _makes_room(self, candidates: set[Connection], most: int, now: float) -> bool:
        """Return whether fewer than `most` have a request, after dropping one whose body does not come if necessary."""
        # Counting takes time, so it is done only if the bound can be reached.
        if len(candidates) <= most:
            return True
        busy = [each for each in candidates if each.stage in {None, Stage.PART_OF_BODY}]
        if len(busy) < most:
            return True
        late = now - BODY_GRACE_S
        return self._drop_one(each for each in busy if each.stage is not None and each.waiting_since < late)

    def _drop_one(self, candidates: Iterable[Connection]) -> bool:
        """Drop a connection that waits for its client. Return False if all of them are being answered."""
        waiting = [each for each in candidates if each.address is not None and each.stage is not None]
        if not waiting:
            return False
        self._drop(max(waiting, key=self._dispensable), "a connection is needed for another client")
        return True

    def _dispensable(self, connection: Connection) -> tuple[bool, int, int, float]:
        neighbours = len(self._of_address[connection.address])
        return not connection.is_signed_in, neighbours, -(connection.stage or 0), -connection.waiting_since

    def _drop(self, connection: Connection, reason: str) -> None:
        # Forgotten now, because the loop closes it later.
        self.remove(connection)
        connection.drop()
        _log.debug("client_disconnected", extra={"address": connection.address, "reason": reason})
