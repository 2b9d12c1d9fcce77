"""What is true of credits, wallets and conversations whatever runs them: standard library only, no clock, no chance."""
