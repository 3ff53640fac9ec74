"""The version of the program; a module of its own, so that no layer imports the package itself."""

from __future__ import annotations

__version__ = "0.2.0"
