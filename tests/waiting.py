"""How long a test waits for what must come."""

from __future__ import annotations

PATIENCE = 90.0
"""Seconds. Only a failing test takes them: a machine that has other things to do is slow."""
