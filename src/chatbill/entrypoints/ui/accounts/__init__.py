"""Signing in, and the view of the account."""
