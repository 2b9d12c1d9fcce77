"""How handlers get what they work with."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")

# The framework would otherwise take what is injected apart and check it field by field, on every request.
Injected: TypeAlias = NamedDependency[SkipValidation[T]]
