"""Teach Transformers int8 layers for CPUs: to quantize a checkpoint while it is loaded, to save it, and to load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import get_module_from_name, should_convert_module
from transformers.utils.quantization_config import QuantizationConfigMixin

from chatbill.adapters.inference.transformers.int8.modules import (
    COLUMNS,
    Int8Embedding,
    Int8Linear,
    embedding_factor,
    quantized,
)

METHOD = "chatbill_int8"
"""As `quant_method` in the config.json of a folder, this names what the folder holds."""

_WEIGHT, _SCALE = "weight", "weight_scale"


@register_quantization_config(METHOD)
class Int8Config(QuantizationConfigMixin):
    """Asks Transformers for int8 layers; it has no settings."""

    def __init__(self, **_settings: Any) -> None:
        self.quant_method: Any = METHOD


@register_quantizer(METHOD)
class Int8Quantizer(HfQuantizer):
    """Replaces linear layers, and the embedding where the output layer shares its weight."""

    is_trainable = False

    def is_serializable(self) -> bool:
        """Return True."""
        return True

    def param_needs_quantization(self, model: Any, param_name: str, **_: Any) -> bool:
        """Return True for the weights of int8 layers."""
        module, name = get_module_from_name(model, param_name)
        return isinstance(module, Int8Linear | Int8Embedding) and name == _WEIGHT

    def get_quantize_ops(self) -> ConversionOps:
        """Return what turns a weight of the checkpoint into weight and scales."""
        return _Quantize(self)

    def _process_model_before_weight_loading(self, model: Any, **_: Any) -> Any:
        keep = model._keep_in_fp32_modules  # noqa: SLF001 - as Transformers' own quantizers do
        replace_layers(model, keep=self.get_modules_to_not_convert(model, [], keep))
        return model


def replace_layers(model: Any, *, keep: Sequence[str] = ()) -> None:
    """Replace the layers of a model without weights by int8 layers, except those named in `keep`.

    An embedding is replaced if the output layer shares its weight. Other layers with shared weights stay as they are,
    and so do those with a number of columns that torch's kernels cannot read.
    """
    tied: dict[str, str] = model.all_tied_weights_keys
    embedding = model.get_input_embeddings()
    pair = _names_of(model, embedding, model.get_output_embeddings())
    shares = len(pair) > 1 and _is_tied(tied, *pair) and _can_be_shared(embedding)
    left = {name.removesuffix(f".{_WEIGHT}") for name in (*tied, *tied.values())} - set(pair if shares else ())
    for name, module in list(model.named_modules()):
        if name in left or not should_convert_module(name, list(keep)):
            continue
        if type(module) is nn.Linear and module.in_features % COLUMNS == 0:
            model.set_submodule(name, Int8Linear(module.in_features, module.out_features, bias=module.bias is not None))
        elif module is embedding and shares:
            model.set_submodule(name, Int8Embedding(module))
    if shares:
        tied |= {
            target.removesuffix(_WEIGHT) + _SCALE: source.removesuffix(_WEIGHT) + _SCALE
            for target, source in tied.items()
            if source.removesuffix(f".{_WEIGHT}") in pair
        }


def _names_of(model: Any, *modules: Any) -> list[str]:
    return [name for name, module in model.named_modules() if any(module is one for one in modules)]


def _is_tied(tied: Mapping[str, str], one: str, other: str) -> bool:
    return any({target, source} == {f"{one}.{_WEIGHT}", f"{other}.{_WEIGHT}"} for target, source in tied.items())


def _can_be_shared(module: Any) -> bool:
    return (
        type(module) is nn.Embedding or embedding_factor(module) is not None
    ) and module.embedding_dim % COLUMNS == 0


class _Quantize(ConversionOps):
    def __init__(self, quantizer: Int8Quantizer) -> None:
        self._quantizer = quantizer

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],  # noqa: ARG002 - of the interface
        target_patterns: list[str],  # noqa: ARG002
        **kwargs: Any,
    ) -> dict[str, list[torch.Tensor]]:
        """Return the tensors under the names of the model."""
        output: dict[str, list[torch.Tensor]] = {}
        for name, value in input_dict.items():
            tensor = value[0] if isinstance(value, list) else value
            if self._quantizer.param_needs_quantization(kwargs["model"], name):
                weight, scales = quantized(tensor)
                output |= {name: [weight], name.removesuffix(_WEIGHT) + _SCALE: [scales]}
            else:
                output[name] = [tensor]
        return output
