"""One verb a file: each use case is a frozen dataclass that holds its ports and is called with its input."""
