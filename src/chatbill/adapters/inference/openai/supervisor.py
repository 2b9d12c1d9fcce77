"""What a model needs to know about a server that this process starts."""

from __future__ import annotations

from typing import Protocol

from chatbill.application.ports.engine import ModelStatus


class Supervisor(Protocol):
    """Starts the server of a model when it is needed, and starts it again when it has ended."""

    def status(self) -> ModelStatus:
        """Return whether the server runs, or why not; `healthy` is False where it broke and does not come back."""
        ...

    async def wait_until_ready(self) -> None:
        """Start the server unless it runs. Raises `ModelUnavailable` if it is not ready in time."""
        ...
