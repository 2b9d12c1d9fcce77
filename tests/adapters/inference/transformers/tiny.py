"""Tiny checkpoints of real classes, with random weights, the demo model's tokenizer, and a short sliding window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kit.models import demo_model_folder

KINDS = ("LlamaForCausalLM", "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration")
WINDOW = 8


def make_tiny(folder: Path, kind: str, *, tied: bool = False) -> None:
    """Save a checkpoint. Its weights are wide, so that its choices are clear and differ between prompts."""
    import torch  # noqa: PLC0415 - slow, and only for tests with models
    import transformers  # noqa: PLC0415

    library: Any = transformers
    torch.manual_seed(1)
    tokenizer = library.AutoTokenizer.from_pretrained(demo_model_folder())
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.3,
        "tie_word_embeddings": tied,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "LlamaForCausalLM":
        model = library.LlamaForCausalLM(library.LlamaConfig(**shape))
    else:
        layer_types = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
        text = library.Gemma3TextConfig(**shape, layer_types=layer_types, sliding_window=WINDOW)
        model = (
            library.Gemma3ForCausalLM(text) if kind == "Gemma3ForCausalLM" else _multimodal(library, text, tied=tied)
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _multimodal(library: Any, text: Any, *, tied: bool) -> Any:
    vision = library.SiglipVisionConfig(
        hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return library.Gemma3ForConditionalGeneration(
        library.Gemma3Config(
            text_config=text,
            vision_config=vision,
            mm_tokens_per_image=4,
            initializer_range=0.3,
            tie_word_embeddings=tied,
        )
    )
