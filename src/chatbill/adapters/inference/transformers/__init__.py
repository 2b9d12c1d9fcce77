"""Models run in this process by the Transformers library. Importing this package imports neither it nor torch."""

from chatbill.adapters.inference.transformers.engine import TransformersEngine, torch_runtime

__all__ = ["TransformersEngine", "torch_runtime"]
