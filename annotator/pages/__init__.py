"""Pages of many items: what they hold, where they come from, what a selection answers."""

from __future__ import annotations

from annotator.pages.browse import BrowseSource
from annotator.pages.journal import PageJournal, open_journal
from annotator.pages.orders import PageOrder
from annotator.pages.page import (
    PER_PAGE,
    Marks,
    Page,
    PageNotReady,
    PageSource,
    SelectionMode,
    answers_of_page,
)
from annotator.pages.request import PageRequest, with_target
from annotator.pages.selection import PageSelection

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
