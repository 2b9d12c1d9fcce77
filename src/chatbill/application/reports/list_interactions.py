"""List interactions of all people: the requests behind the figures of a report, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.store import Store
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    MAX_PAGE_BYTES,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.subjects import INTERACTION, USER
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.audit_trail import AuditAction, Facts
from chatbill.domain.shared.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class InteractionPage:
    """One page. `has_texts` says whether prompts and replies may be shown."""

    page: Page[Interaction]
    has_texts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInteractions:
    """List interactions in pages, without their texts.

    Where `reads_texts` is set, administrators read and search the texts of other people, and each page with a text is
    recorded in the audit trail. Raises `Forbidden`, and `InvalidRequest` for a search by others.
    """

    store: Store
    clock: Clock
    new_id: NewId
    reads_texts: bool

    async def __call__(
        self,
        principal: Principal,
        filters: InteractionFilter,
        *,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> InteractionPage:
        """Return one page of the interactions that are selected."""
        require_permission(principal, Permission.READ_USE)
        has_texts = self._may_read_texts(principal)
        if filters.text is not None and not has_texts:
            # A search would tell which texts hold a word.
            raise InvalidRequest.of("q", "texts_not_readable")
        limit, after = checked_limit(limit), decode_position(cursor)
        rows = await self.store.read(
            lambda snapshot: snapshot.interactions.newest(
                filters, after=after, limit=limit + 1, max_bytes=MAX_PAGE_BYTES
            )
        )
        page = page_of(rows, limit, lambda each: encode_position(each.created_at, each.id), Interaction.text_bytes)
        if not has_texts:
            bare = [replace(each, prompt="", reply="") for each in page.items]
            return InteractionPage(Page(bare, page.next_cursor), has_texts=False)
        if any(each.text_bytes() for each in page.items):
            await self._record(principal, filters, page.items)
        return InteractionPage(page, has_texts=True)

    def _may_read_texts(self, principal: Principal) -> bool:
        allowed = permissions_of(principal.role)
        is_allowed = principal.role is UserRole.ADMIN and {Permission.READ_PEOPLE, Permission.READ_USE} <= allowed
        return self.reads_texts and is_allowed

    async def _record(self, principal: Principal, filters: InteractionFilter, items: list[Interaction]) -> None:
        """Record that these texts are read, before they are shown."""
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)
        subject = (USER, str(filters.user_id)) if filters.user_id else (INTERACTION, str(items[0].id))
        facts: Facts = {
            "count": len(items),
            "newest": items[0].id,
            "oldest": items[-1].id,
            "searched": bool(filters.text),
        }
        await self.store.write(lambda tx: act.record(tx, AuditAction.TEXTS_READ, subject=subject, after=facts))
