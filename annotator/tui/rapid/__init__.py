"""The screen of rapid streams."""
