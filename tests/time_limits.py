"""The time limit of every wait in a test."""

from __future__ import annotations

PATIENCE = 90.0
"""Seconds. Only a failing test takes them: a machine that has other things to do is slow."""
