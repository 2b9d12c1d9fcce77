"""Letters to people: their texts, and the way to a mail server."""
