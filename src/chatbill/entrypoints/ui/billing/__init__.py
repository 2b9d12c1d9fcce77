"""The view of credits."""
