"""Figures about a project: for `status` and `log`, and as a page."""

from __future__ import annotations

from annotator.report.status import (
    format_entry,
    format_status,
    median_label_seconds,
    project_status,
)

__all__ = ["format_status", "format_entry", "median_label_seconds", "project_status"]
