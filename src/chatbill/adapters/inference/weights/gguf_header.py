"""Read the header of a GGUF file: its metadata and the list of its tensors, without its weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final, TypeAlias

Value: TypeAlias = int | float | bool | str | tuple[int | float | bool, ...]

_NUMBERS: Final = dict(enumerate("BbHhIif?", start=0)) | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_ARRAY = 1_024
_ALIGNMENT = 32
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_TEMPLATE, _TOKENS, _TOKEN_TYPES = "tokenizer.chat_template", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
_CONTROL, _USER_DEFINED = 3, 4
"""Types of tokens."""
_LEAST_MARKER = 3
"""Characters of a marker that has the type of a text token; shorter ones are text."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor; `shape` begins with the length of a row, `kind` is ggml's number of its type."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def parameters(self) -> int:
        """Return the number of its weights."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What the header says. `metadata` lacks texts in lists and long lists; `data_at` is where the weights begin.

    `markers` are the texts of the tokens that structure a chat. Other tokens of their own, such as those for runs of
    blanks or HTML tags, are text.
    """

    metadata: Mapping[str, Value]
    tensors: tuple[GgufTensor, ...]
    data_at: int
    markers: tuple[str, ...] = ()

    @property
    def chat_template(self) -> str:
        """Return the model's own chat template, "" where it has none."""
        return str(self.metadata.get(_TEMPLATE, ""))


def read_header(file: Path) -> GgufHeader:
    """Return the header of a file. Raises `ValueError` with the reason, and `OSError`."""
    found = file.stat()
    return _read(file, found.st_size, found.st_mtime_ns)


def fault_of_gguf(file: Path) -> str:
    """Return why the file cannot be loaded, as text for the operator of the service; "" if no cause is known."""
    try:
        header, size = read_header(file), file.stat().st_size
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except ValueError as error:
        return str(error)
    if size < (declared := header.data_at + _data_bytes(header)):
        return f"it has {size:,} bytes and should have {declared:,}; a copy or a download was cut off"
    return ""


def _data_bytes(header: GgufHeader) -> int:
    """Return how many bytes the tensors take; those of an unknown type count nothing."""
    from gguf import GGML_QUANT_SIZES  # noqa: PLC0415 - it brings numpy

    sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
    ends = [0]
    for tensor in header.tensors:
        block, block_bytes = sizes.get(tensor.kind, (1, 0))
        ends.append(tensor.offset + tensor.parameters // block * block_bytes)
    return max(ends)


@lru_cache(maxsize=64)
def _read(file: Path, size: int, changed_ns: int) -> GgufHeader:  # noqa: ARG001 - a file that changed is read again
    if size < len(_MAGIC):
        raise ValueError("it is no GGUF file")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _Reader(content).header()
        except (struct.error, UnicodeDecodeError, KeyError) as error:
            raise ValueError("it was cut off in its header, or is damaged") from error


class _Reader:
    """Reads one value after another."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def header(self) -> GgufHeader:
        if self._content[:4] != _MAGIC:
            raise ValueError("it is no GGUF file")
        self._at = len(_MAGIC)
        if (version := self._number("I")) not in _VERSIONS:
            raise ValueError(f"it has version {version} of the GGUF format; versions 2 and 3 can be read")
        tensor_count, value_count = self._number("Q"), self._number("Q")
        metadata: dict[str, Value] = {}
        starts: dict[str, int] = {}
        for _ in range(value_count):
            name = self._text()
            starts[name] = self._at
            if (value := self._value(self._number("I"))) is not None:
                metadata[name] = value
        tensors = tuple(self._tensor() for _ in range(tensor_count))
        alignment = metadata.get("general.alignment", _ALIGNMENT)
        step = alignment if isinstance(alignment, int) and alignment > 0 else _ALIGNMENT
        data_at = -(-self._at // step) * step
        return GgufHeader(metadata, tensors, data_at, self._markers(starts, str(metadata.get(_TEMPLATE, ""))))

    def _markers(self, starts: Mapping[str, int], template: str) -> tuple[str, ...]:
        if not {_TOKENS, _TOKEN_TYPES} <= starts.keys():
            return ()
        types = self._items(starts[_TOKEN_TYPES])
        texts = self._items(starts[_TOKENS])
        return tuple(
            text
            for text, kind in zip(texts, types, strict=False)
            if kind == _CONTROL or (kind == _USER_DEFINED and len(text.strip()) >= _LEAST_MARKER and text in template)
        )

    def _items(self, start: int) -> list[Any]:
        """Return all items of the list that begins there."""
        self._at = start
        if self._number("I") != _ARRAY:
            raise KeyError
        kind, length = self._number("I"), self._number("Q")
        if kind in _NUMBERS:
            return list(struct.unpack_from(f"<{length}{_NUMBERS[kind]}", self._content, self._at))
        return [self._text() for _ in range(length)]

    def _tensor(self) -> GgufTensor:
        name = self._text()
        shape = tuple(self._number("Q") for _ in range(self._number("I")))
        return GgufTensor(name, shape, self._number("I"), self._number("Q"))

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array(self._number("I"), self._number("Q"))
        number: Value = self._number(_NUMBERS[kind])
        return number

    def _array(self, kind: int, length: int) -> Value | None:
        if kind in _NUMBERS:
            at, code = self._at, _NUMBERS[kind]
            self._at += length * struct.calcsize(code)
            if length > _LONGEST_ARRAY:
                return None
            return struct.unpack_from(f"<{length}{code}", self._content, at)
        for _ in range(length):
            if kind == _STRING:
                self._at += 8 + int(struct.unpack_from("<Q", self._content, self._at)[0])
            else:
                self._value(kind)
        return None

    def _text(self) -> str:
        length = self._number("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._content):
            raise struct.error
        return self._content[start : self._at].decode()

    def _number(self, code: str) -> Any:
        (number,) = struct.unpack_from(f"<{code}", self._content, self._at)
        self._at += struct.calcsize(f"<{code}")
        return number
