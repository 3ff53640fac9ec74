"""Figures about a project: for `status` and `log`, and as a page."""
