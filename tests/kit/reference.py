"""The reference page, made from the docstrings of the public surface.

`python -m tests.kit.reference > docs/reference.md` renews it.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

from chatbill import api

HEAD = """# Reference

What `chatbill.api` names, with the docstrings of the code. These names, their parameters and their meaning stay within
a major version. Made by `python -m tests.kit.reference > docs/reference.md`; a test compares the two.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(part for name in api.__all__ for part in entry(name))])


def entry(name: str) -> Iterator[str]:
    """Yield the lines about one name."""
    thing = getattr(api, name)
    yield f"## `{name}`\n"
    if not (inspect.isclass(thing) or callable(thing)) or type(thing).__name__ == "NewType":
        value = (
            "an id: a `str` of its own type"
            if callable(thing)
            else f"`{thing:,}`"
            if isinstance(thing, int)
            else f"`{thing!r}`"
        )
        yield f"{value}\n"
        return
    if not inspect.isclass(thing):
        yield f"```python\n{signature(name, thing)}\n```\n"
    yield f"{inspect.getdoc(thing) or ''}\n"
    if inspect.isclass(thing):
        yield from members(thing)


def members(thing: type[Any]) -> Iterator[str]:
    """Yield the fields, values and methods of a class."""
    if issubclass(thing, enum.Enum):
        yield "Values: " + ", ".join(f"`{member.value}`" for member in thing) + "\n"
        return
    if is_dataclass(thing):
        listed = ", ".join(f"`{each.name}: {each.type}`" for each in fields(thing))
        yield f"Fields: {listed}\n" if listed else ""
    for name, member in vars(thing).items():
        if name.startswith("_") and name != "__call__":
            continue
        target = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        text = " ".join((inspect.getdoc(member) or "").split())
        if inspect.isfunction(target):
            yield f"- `{signature(name, target)}`" + (f": {text}" if text else "")
        elif isinstance(member, (property, cached_property)):
            getter = member.fget if isinstance(member, property) else member.func
            of = inspect.signature(getter).return_annotation if getter else ""
            yield f"- `{name}: {of}`" + (f": {text}" if text else "")
    yield ""


def signature(name: str, function: Any) -> str:
    """Return how a function is called."""
    found = inspect.signature(function)
    parameters = [each for each in found.parameters.values() if each.name not in {"self", "cls"}]
    return f"{name}{found.replace(parameters=parameters)}".replace("'", "")


if __name__ == "__main__":
    sys.stdout.write(page())
