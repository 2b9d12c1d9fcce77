"""Places for exports: one at a time for each person, and few in all."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.domain.shared.errors import Overloaded, RateLimited
from chatbill.domain.shared.ids import UserId

IN_ALL = 4
RETRY_AFTER_S = 10


@dataclass(slots=True)
class ExportPlaces:
    """Counts the exports of this process that are being sent. The caller releases each place that it took."""

    in_all: int = IN_ALL
    taken: set[UserId] = field(default_factory=set)

    def take(self, user_id: UserId) -> None:
        """Take a place. Raises `RateLimited` for a person who has one, and `Overloaded` where all are taken."""
        if user_id in self.taken:
            raise RateLimited("export_running", retry_after_s=RETRY_AFTER_S)
        if len(self.taken) >= self.in_all:
            raise Overloaded("exports_taken", retry_after_s=RETRY_AFTER_S)
        self.taken.add(user_id)

    def release(self, user_id: UserId) -> None:
        """Release the place of a person."""
        self.taken.discard(user_id)
