"""Turn a GGUF file into a folder of safetensors and tokenizer: `python conversion.py SOURCE.gguf TARGET`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging

_logging: Any = logging  # without types


def convert(source: Path, target: Path) -> None:
    """Unpack the weights to bfloat16 and save them, with tokenizer and chat template, in a new folder."""
    _logging.disable_progress_bar()
    folder, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # Left packed, the weights could be neither saved nor quantized in another way.
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, quantization_config=unpacked, dtype=torch.bfloat16
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
