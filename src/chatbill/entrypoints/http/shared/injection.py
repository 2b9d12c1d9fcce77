"""The type of injected dependencies."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")

# Otherwise the framework validates injected objects field by field on every request.
Injected: TypeAlias = NamedDependency[SkipValidation[T]]
