"""The paths of the API, one family a file: read the request, call one use case, show what came of it."""
