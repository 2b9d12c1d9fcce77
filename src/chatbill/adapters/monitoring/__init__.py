"""Adapters that measure: metrics for Prometheus, a store that is timed, and the machine."""
