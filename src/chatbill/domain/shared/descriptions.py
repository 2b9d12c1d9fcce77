"""Descriptions for people: a code and parameters that channels render in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Param = str | int | float | bool | None


@lru_cache(maxsize=256, typed=True)  # many charges share few descriptions, and true is not 1
def _dumped(code: str, names: tuple[str, ...], *values: Param) -> str:
    text = _JSON.encode({"code": code, **dict(zip(names, values, strict=True))}).replace("\\u0000", "\ufffd")
    # No database keeps NUL or a lone surrogate in text.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True, slots=True)
class Description:
    """A stable `code` of lower-case words joined by underscores, and the parameters that a sentence for it needs."""

    code: str
    params: Mapping[str, Param] = field(default_factory=dict)

    @classmethod
    def of(cls, code: str, **params: Param) -> Description:
        """Return the description with these parameters."""
        return cls(code, params)

    def dumps(self) -> str:
        """Return the stored form: a JSON object with `code` beside the parameters."""
        return _dumped(self.code, tuple(self.params), *self.params.values())

    @classmethod
    def loads(cls, text: str) -> Description:
        """Return the description that `dumps` wrote. Raises `ValueError` for other text."""
        loaded = json.loads(text)
        if not isinstance(loaded, dict) or not isinstance(code := loaded.pop("code", None), str):
            raise ValueError(f"{text!r} is no description")  # noqa: TRY004 - the text has the wrong value
        return cls(code, loaded)

    def __str__(self) -> str:
        """Return the description for logs, such as `reply(model=demo-mini)`."""
        return f"{self.code}({', '.join(f'{name}={value}' for name, value in self.params.items())})"
