"""What clients get: the JSON of every answer, one family a file."""
