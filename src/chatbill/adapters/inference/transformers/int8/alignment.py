"""Keep int8 weights at addresses that torch's kernels can read.

The kernel for four or more rows reads 16 bytes at a time, and crashes the process if their address is not a multiple of
16. Memory-mapped weights keep the alignment of their file, and safetensors aligns to 8 bytes only.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import torch

BYTES = 64
"""A line of the processor's cache, and a multiple of what the kernels need."""

_LENGTH = struct.Struct("<Q")


def align_weight(weight: torch.nn.Parameter) -> None:
    """Move a weight to an aligned address unless it has one. Other layers that share it see it there."""
    if weight.data_ptr() % BYTES:
        weight.data = weight.data.clone()


def align_file(file: Path) -> None:
    """Pad the header of a safetensors file with spaces, so that the tensors begin at a multiple of `BYTES`.

    The header begins with its length; see https://github.com/huggingface/safetensors#format. It lists 16-bit tensors
    first, so the int8 tensors after them are aligned if the 16-bit ones together fill a multiple of `BYTES`, as in the
    usual shapes.
    """
    with file.open("rb") as source:
        (length,) = _LENGTH.unpack(source.read(_LENGTH.size))
        missing = -(_LENGTH.size + length) % BYTES
        if not missing:
            return
        part = file.with_suffix(".part")
        with part.open("wb") as target:
            target.write(_LENGTH.pack(length + missing) + source.read(length) + b" " * missing)
            shutil.copyfileobj(source, target, 1 << 20)
    part.replace(file)
