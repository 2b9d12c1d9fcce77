"""Models on servers that have OpenAI's chat completions API: vLLM, llama.cpp, Ollama, OpenAI, another chatbill."""

from chatbill.adapters.inference.openai.engine import OpenAIEngine
from chatbill.adapters.inference.openai.server import Timeouts

__all__ = ["OpenAIEngine", "Timeouts"]
