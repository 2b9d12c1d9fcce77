"""What must not be imported early: seconds and gigabytes that most commands never need."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("scripted", "pydantic, torch, transformers, structlog, huggingface_hub"),
        ("catalogue.files", "torch, transformers, huggingface_hub"),
        ("weights.library", "torch, transformers, huggingface_hub"),
        ("openai", "torch, transformers, huggingface_hub, openai"),
        ("transformers", "torch, transformers, huggingface_hub"),
    ],
)
def test_large_libraries_are_imported_only_when_a_model_is_loaded(module: str, absent: str) -> None:
    code = f"import sys, chatbill.adapters.inference.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {*absent.split(", ")} & {*done.stdout.split()}
