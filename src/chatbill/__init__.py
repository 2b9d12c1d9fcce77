"""Chat with language models, paid by prepaid credits with an audited ledger."""

__version__ = "0.1.0"
