"""The views of the chat and of the history."""
