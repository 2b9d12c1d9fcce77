"""What the application needs from outside, one protocol a file. Adapters fit these; nothing here knows them."""
