"""The project folder: its settings, classes, items, priorities, clusters and hooks."""
