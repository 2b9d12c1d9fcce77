"""Free memory: give up what models keep for later, and unload those that are idle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.engine import Engine, FreesMemory
from chatbill.application.ports.machine import Machine
from chatbill.application.ports.store import Store
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.audit_trail import AuditAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """The memory of this process and its children before and after, in bytes."""

    before_bytes: int
    after_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeMemory:
    """Free the memory of models in this process. The next message to a model loads it again. Raises `Forbidden`."""

    store: Store
    engine: Engine
    machine: Machine
    clock: Clock
    new_id: NewId
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, principal: Principal) -> Freed:
        """Return what was freed; it is on record with the person who did it."""
        require_permission(principal, Permission.OPERATE)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)
        async with self._turn:
            before = await asyncio.to_thread(self.machine.read)
            if isinstance(self.engine, FreesMemory):
                await self.engine.free_memory()
            after = await asyncio.to_thread(self.machine.read)
        freed = Freed(before_bytes=before.process_bytes, after_bytes=after.process_bytes)
        await self.store.write(
            lambda tx: act.record(
                tx,
                AuditAction.MEMORY_FREED,
                before={"bytes": freed.before_bytes},
                after={"bytes": freed.after_bytes},
            )
        )
        return freed
