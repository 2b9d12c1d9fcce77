"""Chat with language models, paid by prepaid credits whose books always agree."""

__version__ = "0.1.0"
