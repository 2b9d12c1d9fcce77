"""The file that a store has open: the same one for as long as the store lives."""

from __future__ import annotations

import os
from pathlib import Path

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description

GONE = Description("database_replaced")


class Place:
    """One path, and which file it named when it was first opened. Usable from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: os.stat_result | None = None

    @property
    def is_known(self) -> bool:
        """True once it was opened."""
        return self._file is not None

    def opened(self) -> None:
        """Note which file was opened, or see that it is the one of before. Raises `StoreUnavailable`."""
        if self._file is None:
            try:
                self._file = self.path.stat()
            except FileNotFoundError:
                raise self._gone() from None
        self.check()

    def check(self) -> None:
        """Raise `StoreUnavailable` where the path names another file than the one that was opened first, or none."""
        if self._file is None:
            return
        try:
            is_the_same = os.path.samestat(self._file, self.path.stat())
        except OSError:
            is_the_same = False
        if not is_the_same:
            raise self._gone()

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(str(self.path), advice=GONE)
