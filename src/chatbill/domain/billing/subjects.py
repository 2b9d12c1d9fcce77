"""Subjects, for which credits are held and moved, and owners of wallets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chatbill.domain.shared.errors import InvariantViolation

INTERACTION: Final = "interaction"
PAYMENT: Final = "payment"
USER: Final = "user"
CODE: Final = "redeem_code"
RESERVED: Final = frozenset({INTERACTION, PAYMENT, CODE})
"""Kinds of subjects that stand for things of chatbill itself."""

MAX_KIND_CHARS = 32
MAX_ID_CHARS = 64


@dataclass(frozen=True, slots=True)
class _Reference:
    kind: str
    id: str

    def __post_init__(self) -> None:
        if not (0 < len(self.kind) <= MAX_KIND_CHARS and 0 < len(self.id) <= MAX_ID_CHARS):
            raise InvariantViolation(f"{self.kind!r} {self.id!r}: a kind has 1 to 32 characters, an id 1 to 64")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Subject(_Reference):
    """The thing that credits are held or moved for: an interaction, a payment, or a thing of an embedding application.

    `kind` has 1 to 32 characters, `id` 1 to 64. The kinds of `RESERVED` are for chatbill itself.
    """

    __slots__ = ()


class Owner(_Reference):
    """The person, organization or other party whose credits a wallet keeps.

    `kind` has 1 to 32 characters, `id` 1 to 64. The kind `user` is reserved for users of chatbill.
    """

    __slots__ = ()
