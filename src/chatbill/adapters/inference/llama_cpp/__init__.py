"""Models in GGUF files, run by llama.cpp in a process for each."""

from chatbill.adapters.inference.llama_cpp.engine import LlamaCppEngine
from chatbill.adapters.inference.llama_cpp.served_file import GgufModel

__all__ = ["GgufModel", "LlamaCppEngine"]
