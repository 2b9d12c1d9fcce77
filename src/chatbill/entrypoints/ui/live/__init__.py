"""The one event connection of a browser: replies that grow, balance, lists and models."""
