"""The header of a GGUF file: what is read of it, and files that are damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbill.adapters.inference.availability.gguf_memory import need_of_gguf
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.weights.gguf_header import fault_of_gguf, read_header
from tests.kit.gguf import COLUMNS, LAYERS, ROWS, write_gguf


def test_the_header_has_the_metadata_and_the_shapes_of_the_tensors(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "tiny.gguf"))

    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.block_count"] == LAYERS
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
    assert header.metadata["tokenizer.ggml.scores"] == (0.5, 1.5, -1.0)
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("token_embd.weight", (COLUMNS, ROWS)),
        ("output_norm.weight", (COLUMNS,)),
    ]


def test_markers_are_control_tokens_and_tokens_that_the_chat_template_names(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "tiny.gguf"))

    assert header.chat_template == "{{ messages }}<user>  "
    assert header.markers == ("<s>", "<user>")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda whole: whole[:-1], "a copy or a download was cut off"),
        (lambda whole: whole[:100], "cut off in its header"),
        (lambda whole: whole[:6], "cut off in its header"),
        (lambda whole: b"", "no GGUF file"),
        (lambda whole: b"<html>Not found</html>", "no GGUF file"),
        (lambda whole: whole[:4] + struct.pack("<I", 9) + whole[8:], "version 9 of the GGUF format"),
        (lambda whole: whole[:24] + struct.pack("<Q", 2**63) + whole[32:], "cut off in its header"),
        (lambda whole: whole.replace(b"general.architecture\x08", b"general.architecture\x63"), "damaged"),
    ],
)
def test_a_damaged_file_is_no_model_and_the_fault_says_why(
    tmp_path: Path, damage: Callable[[bytes], bytes], fault: str
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    assert fault_of_gguf(file) == ""
    file.write_bytes(damage(file.read_bytes()))

    assert fault in fault_of_gguf(file)


def test_a_file_that_is_missing_or_a_folder_is_no_model(tmp_path: Path) -> None:
    assert fault_of_gguf(tmp_path / "none.gguf") == "there is no such file"
    assert "cannot be read" in fault_of_gguf(tmp_path)


def test_the_memory_of_a_model_is_computed_from_its_header(tmp_path: Path) -> None:
    spec = load_catalogue("demo")[0]
    file = write_gguf(tmp_path / "tiny.gguf")

    need = need_of_gguf(spec, file)

    assert need.known
    assert need.weights_bytes == file.stat().st_size - read_header(file).data_at
    # Keys and values of 2 heads of 16 numbers in 16 bits.
    assert need.reply_bytes == LAYERS * 2 * (16 + 16) * 2 * spec.context_tokens
    assert not need_of_gguf(spec, None).known
