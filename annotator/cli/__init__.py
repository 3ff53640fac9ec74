"""The commands: parse, call, print. Heavy imports stand inside each command's body."""

from annotator.cli.app import main

__all__ = ["main"]
