"""Weights are read from safetensors files alone, because a pickle can run code when it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, Weights
from chatbill.adapters.inference.weights.folders import fault_of
from tests.adapters.inference.transformers.tiny import make_tiny


@pytest.mark.model
def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - slow, and only for tests with models
    from safetensors.torch import load_file  # noqa: PLC0415

    from chatbill.adapters.inference.transformers.loading import TorchRuntime  # noqa: PLC0415

    make_tiny(tmp_path, "LlamaForCausalLM")
    whole = tmp_path / "model.safetensors"
    torch.save(load_file(whole), tmp_path / "pytorch_model.bin")
    whole.rename(tmp_path / "other.safetensors")
    assert fault_of(tmp_path) == ""
    mini = load_catalogue("demo")[0]
    spec = replace(mini, source=FolderSource(folder=tmp_path), weights=Weights.FP32)
    with pytest.raises(OSError, match="safetensors"):
        TorchRuntime("cpu").load(spec, tmp_path)
