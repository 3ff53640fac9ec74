"""Figures about a project: for `status` and `log`, and as a page to look at."""

from __future__ import annotations

from annotator.report.status import as_text, entry_as_text, pace, status

__all__ = ["as_text", "entry_as_text", "pace", "status"]
