"""The review screen and its app."""
