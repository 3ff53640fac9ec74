"""Pages of many items: their contents, their sources, and the answers of a selection."""

from __future__ import annotations

from annotator.pages.browse import BrowseSource
from annotator.pages.journal import PageJournal, open_journal
from annotator.pages.page import (
    PER_PAGE,
    Marks,
    Page,
    PageNotReady,
    SelectionMode,
    answers_of_page,
)
from annotator.pages.request import PageOrder, PageRequest, with_target
from annotator.pages.selection import PageSelection
from annotator.pages.source import PageSource

__all__ = [
    "PER_PAGE",
    "PageSelection",
    "BrowseSource",
    "PageJournal",
    "Marks",
    "PageNotReady",
    "PageOrder",
    "Page",
    "PageSource",
    "SelectionMode",
    "PageRequest",
    "answers_of_page",
    "open_journal",
    "with_target",
]
