"""Small GGUF files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quants

ROWS, COLUMNS = 8, 64
LAYERS = 2
Q4_1 = GGMLQuantizationType.Q4_1


def write_gguf(path: Path, *, kind: GGMLQuantizationType = Q4_1) -> Path:
    """Write a file with the metadata of a small model, a matrix of this type and a vector in 32 bits."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(COLUMNS)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_context_length(512)
    writer.add_bool("tokenizer.ggml.add_bos_token", val=False)
    writer.add_token_list(["<s>", "é", "<user>", "<b>", "  "])
    writer.add_token_types([3, 1, 4, 4, 4])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5, -1.0])
    writer.add_chat_template("{{ messages }}<user>  ")
    writer.add_file_type(3)
    values = np.linspace(-1, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    writer.add_tensor("token_embd.weight", quants.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("output_norm.weight", np.ones(COLUMNS, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
