"""A group of commands that are imported one by one, because few need what the others need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is, as in `package.module:name`, and the first sentence of its help."""

    path: str
    said: str

    def imported(self) -> click.Command:
        """Return the command. Raises `TypeError` where there is something else."""
        module, _, name = self.path.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.path} is no command")
        return command


class LazyGroup(click.Group):
    """Imports a command when it is called. The list of all commands imports none.

    See https://click.palletsprojects.com/en/stable/complex/#defining-the-lazy-group.
    """

    def __init__(self, *args: Any, places: Mapping[str, Place], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places
        # Click lists and suggests what is in `commands`.
        self.commands.update({name: click.Command(name, help=place.said) for name, place in places.items()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of this name."""
        place = self._places.get(cmd_name)
        return place.imported() if place else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, which says of each what its place says."""
        click.Group(commands=self.commands).format_commands(ctx, formatter)
