"""The frame of the page, its files, and the addresses of its views."""
