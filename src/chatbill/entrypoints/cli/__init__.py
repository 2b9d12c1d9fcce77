"""The command line: `chatbill serve` and the tools of an operator."""
