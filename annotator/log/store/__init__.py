"""The log on disk: the stores, and a session's way to them."""
