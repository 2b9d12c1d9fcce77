"""What the application needs from outside: a store, an engine, a payment provider, time, and others."""
