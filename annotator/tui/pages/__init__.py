"""Screens of many items at once: pages, identities and HITs."""
