"""Implementations of the ports. Adapters do not import each other; the container puts them together."""
