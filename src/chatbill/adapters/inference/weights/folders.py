"""Check whether a folder holds a model that Transformers can load, by names, sizes and headers alone."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from pathlib import Path

NEEDED = "config.json, *.safetensors and the tokenizer's files"


def fault_of(folder: Path) -> str:
    """Return why the folder cannot be loaded, as text for the operator of the service; "" if no cause is known."""
    if not folder.is_dir():
        return "there is no such folder"
    if not (folder / "config.json").is_file():
        return "config.json is missing"
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        return "tokenizer.json is missing"
    return _fault_of_weights(folder)


def _fault_of_weights(folder: Path) -> str:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError):
            return f"{index.name} cannot be read"
        if other := next((name for name in names if not str(name).endswith(".safetensors")), None):
            return f"{index.name} names {other}, which is no safetensors file"
        files = [folder / name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        return "there are no *.safetensors files"
    return next((fault for file in files if (fault := _fault_of_file(file))), "")


def _fault_of_file(file: Path) -> str:
    try:
        found = file.stat()
        declared = _declared_bytes(file, found.st_size, found.st_mtime_ns)
    except FileNotFoundError:
        return f"{file.name} is missing"
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror or error})"
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return f"{file.name} is no safetensors file, or was cut off in its header"
    if found.st_size == declared:
        return ""
    return f"{file.name} has {found.st_size:,} bytes and should have {declared:,}; a copy or a download was cut off"


@lru_cache(maxsize=256)
def _declared_bytes(file: Path, size: int, changed_ns: int) -> int:  # noqa: ARG001 - a file that changed is read again
    """Return the length that the file states: 8 bytes with the length of its header, the header, and its tensors."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(min(length, size)))
    tensors = (tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
    return 8 + int(length) + max(tensors, default=0)
