"""The rules of credits, wallets and conversations: standard library only, no clock, no randomness."""
