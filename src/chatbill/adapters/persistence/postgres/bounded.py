"""A psycopg connection that does not wait forever. Imported only where psycopg is installed."""

from __future__ import annotations

import math
import time
from typing import Any

from psycopg import Connection, OperationalError


class BoundedConnection(Connection[Any]):
    """Closes itself when the server has not answered for `answer_within_s` seconds.

    A server that is stopped cannot keep its own timeouts, and its machine still confirms TCP packets.
    """

    answer_within_s: float = math.inf

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server. Raises `OperationalError` after `answer_within_s` seconds."""
        try:
            return super().wait(self._in_time(gen), *args, **kwargs)
        except TimeoutError:
            self.close()
            raise OperationalError(f"the server has not answered for {self.answer_within_s:g} s") from None

    def _in_time(self, gen: Any) -> Any:
        """Run psycopg's generator, which is resumed ten times a second while it waits."""
        until = time.monotonic() + self.answer_within_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if time.monotonic() > until:
                    raise TimeoutError
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
