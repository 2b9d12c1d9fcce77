"""The use cases, each named by a verb, and the ports through which they reach stores, engines and providers."""
