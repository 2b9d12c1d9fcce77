"""Load a model folder into memory, without output and without the network."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Both are read when the libraries are imported, so they come first. The hub's client sends no telemetry. Threads that
# wait for each other inside one operation yield soon instead of spinning: with a second model or a busy web server
# on the same two cores, spinning was seen to cost up to half of the tokens per second, and hardly helps without.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from chatbill.adapters.inference.availability.heap import return_freed_memory
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.transformers.attention import ROWS
from chatbill.adapters.inference.transformers.int8.alignment import align_file, align_weight
from chatbill.adapters.inference.transformers.int8.choice import by_rows, remembered_products
from chatbill.adapters.inference.transformers.int8.modules import Int8Linear
from chatbill.adapters.inference.transformers.int8.quantizer import METHOD, Int8Config
from chatbill.adapters.inference.transformers.model import TransformersModel
from chatbill.adapters.inference.transformers.projections import prepare_projections
from chatbill.adapters.inference.transformers.runtime import Device, MeasuredProduct, NotLoadable
from chatbill.adapters.inference.transformers.sampling import sampling_of
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description

_WARM_UP = Turn(Role.USER, "Hi")

_SHARD_SIZE = "2GB"
_COPIED = ("tokenizer*", "*.jinja", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
"""What a quantized copy has from its source, beside weights and configuration."""

# Parts of the libraries have no types; these names allow calls to them.
_transformers: Any = transformers
_transformers_logging: Any = transformers_logging


class TorchRuntime:
    """Runs models with torch, on the given device, or else on the first CUDA device if there is one."""

    def __init__(self, device: Device | None) -> None:
        self._int8_products: Sequence[MeasuredProduct] = ()
        self._device: Device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if self._device == "cuda":
            # cuDNN plans anew for each number of keys, 2 ms in each layer, and the keys grow with each token.
            torch.backends.cuda.enable_cudnn_sdp(enabled=False)
        # The service has a log and a progress bar of its own.
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
        _transformers_logging.set_verbosity_error()
        _transformers_logging.disable_progress_bar()

    @property
    def device(self) -> Device:
        """Return the device of its models."""
        return self._device

    def free_gpu_bytes(self) -> int | None:
        """Return the memory that the driver reports as free, and what torch keeps for later use."""
        if self._device == "cpu":
            return None
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return int(torch.cuda.mem_get_info()[0]) + kept

    def free_memory(self) -> None:
        """Free the memory of a GPU that torch keeps for later use."""
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def load(self, spec: ModelSpec, folder: Path) -> TransformersModel:
        """Load weights and tokenizer from the folder alone, and write one token."""
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if not tokenizer.chat_template:
            raise NotLoadable(Description("model_without_chat_template"))
        weights: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            # A pickle can run code when it is read.
            use_safetensors=True,
            dtype=torch.float32 if spec.weights is Weights.FP32 else torch.bfloat16,
            device_map={"": self._device},
            attn_implementation=ROWS,
            **(self._quantization(folder) if spec.weights is Weights.INT8 else {}),
        )
        weights.eval()
        if int8_layers := [layer for layer in weights.modules() if isinstance(layer, Int8Linear)]:
            products = by_rows(self.int8_products(folder.parent))
            for layer in int8_layers:
                layer.products = products
                align_weight(layer.weight)
        prepare_projections(weights)
        model = TransformersModel(
            weights,
            tokenizer=tokenizer,
            detokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            device=self._device,
            end_tokens=_end_tokens(weights.generation_config.eos_token_id, tokenizer.eos_token_id),
            sampling=sampling_of(weights.generation_config, spec.sampling),
        )
        model.read_beginning()
        _write_one_token(spec, model)
        return_freed_memory()
        return model

    def quantize(self, source: Path, target: Path) -> None:
        """Quantize a tensor at a time while the model is loaded, and save it."""
        model: Any = AutoModelForCausalLM.from_pretrained(
            source,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.bfloat16,
            quantization_config=Int8Config(),
        )
        # By the names of its layers, because merged layers cannot be taken apart again.
        model.save_pretrained(target, max_shard_size=_SHARD_SIZE, save_original_format=False)
        for file in target.glob("*.safetensors"):
            align_file(file)
        for pattern in _COPIED:
            for file in source.glob(pattern):
                shutil.copy(file, target)
        del model
        return_freed_memory()

    def int8_products(self, folder: Path) -> Sequence[MeasuredProduct]:
        """Return what was measured, in some seconds if it is not remembered."""
        self._int8_products = self._int8_products or remembered_products(folder)
        return self._int8_products

    def _quantization(self, folder: Path) -> dict[str, Any]:
        """Return how to quantize while loading; empty for a copy, whose own configuration a None would override."""
        if self._device == "cuda":
            return {"quantization_config": _transformers.BitsAndBytesConfig(load_in_8bit=True)}
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        is_copy = config.get("quantization_config", {}).get("quant_method") == METHOD
        return {} if is_copy else {"quantization_config": Int8Config()}


def _write_one_token(spec: ModelSpec, model: TransformersModel) -> None:
    """Write the first token, which is slower than later ones and shows whether the model runs."""
    request = GenerationRequest(model=spec.id, turns=(_WARM_UP,), max_tokens=1)
    decoding = model.begin(request, model.encode(request.turns), max_tokens=1)
    while not decoding.ended:
        model.step([decoding])
    if decoding.error:
        raise decoding.error


def _end_tokens(*ids: int | list[int] | None) -> frozenset[int]:
    return frozenset(
        token for entry in ids if entry is not None for token in (entry if isinstance(entry, list) else [entry])
    )
