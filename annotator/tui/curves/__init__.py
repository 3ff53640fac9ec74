"""The screen of curves, and the charts on it."""
