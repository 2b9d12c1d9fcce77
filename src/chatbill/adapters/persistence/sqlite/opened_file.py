"""Checks that a store keeps using the same file."""

from __future__ import annotations

import os
from pathlib import Path

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description

GONE = Description("database_replaced")


class OpenedFile:
    """A path, and the file that it named when it was first opened. Usable from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: os.stat_result | None = None

    @property
    def is_known(self) -> bool:
        """Return True once the file was opened."""
        return self._file is not None

    def opened(self) -> None:
        """Record which file was opened, or check that it is still the same. Raises `StoreUnavailable`."""
        if self._file is None:
            try:
                self._file = self.path.stat()
            except FileNotFoundError:
                raise self._gone() from None
        self.check()

    def check(self) -> None:
        """Raise `StoreUnavailable` if the path no longer names the file that was opened first."""
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
