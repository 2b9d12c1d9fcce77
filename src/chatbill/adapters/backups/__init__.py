"""Keeps backups in a folder or an object store, encrypted by age."""
