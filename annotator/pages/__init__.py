"""Pages of many items: what they hold, where they come from, what a selection answers."""

from __future__ import annotations

from annotator.pages.page import PER_PAGE, Marks, Page, PageSource, Select, answers

__all__ = ["PER_PAGE", "Marks", "Page", "PageSource", "Select", "answers"]
