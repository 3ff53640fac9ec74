"""Decisions on disk: log entries, the store of them, and what follows from the log alone."""
