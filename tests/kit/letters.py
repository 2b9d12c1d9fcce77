"""A mail server that keeps letters."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.ports.mail import Letter, NotSent


@dataclass
class Letters:
    """Takes letters, or fails as long as it is `broken`."""

    letters: list[Letter] = field(default_factory=list)
    broken: bool = False

    async def send(self, letter: Letter) -> None:
        """Keep the letter. Raises `NotSent`."""
        if self.broken:
            raise NotSent("broken")
        self.letters.append(letter)
