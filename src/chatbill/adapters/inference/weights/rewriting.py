"""Rewrite the weights of a GGUF file in 8 bits: `python rewriting.py SOURCE.gguf TARGET.gguf`."""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, quants
from gguf import GGMLQuantizationType as Kind

_OF_THE_WRITER = "GGUF."
_FLAGS = {"general.architecture"}
_KEPT = {Kind.F32, Kind.Q8_0}
"""Vectors are in 32 bits in every file."""


def rewrite(source: Path, target: Path) -> None:
    """Write the same model with its matrices as Q8_0, in a new file. The metadata stay, but for the type of the file.

    One tensor is in memory at a time.
    """
    reader = GGUFReader(source)
    writer = GGUFWriter(target, arch=reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith(_OF_THE_WRITER) and name not in _FLAGS:
            is_list = field.types[0] is GGUFValueType.ARRAY
            kind = LlamaFileType.MOSTLY_Q8_0 if name == "general.file_type" else field.contents()
            writer.add_key_value(name, kind, field.types[0], field.types[-1] if is_list else None)
    for tensor in reader.tensors:
        kind, shape = _kind(tensor), tuple(tensor.data.shape)
        if kind != tensor.tensor_type:
            shape = quants.quant_shape_to_byte_shape([int(length) for length in reversed(tensor.shape)], kind)
        size = prod(shape) * tensor.data.itemsize
        writer.add_tensor_info(tensor.name, shape, tensor.data.dtype, size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        kind = _kind(tensor)
        data = tensor.data
        if kind != tensor.tensor_type:
            data = quants.quantize(quants.dequantize(data, tensor.tensor_type), kind)
        writer.write_tensor_data(data)
    writer.close()


def _kind(tensor: Any) -> Kind:
    whole_blocks = int(tensor.shape[0]) % GGML_QUANT_SIZES[Kind.Q8_0][0] == 0
    return Kind.Q8_0 if tensor.tensor_type not in _KEPT and whole_blocks else Kind(tensor.tensor_type)


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), Path(sys.argv[2]))
