"""Pages of many items: what they hold, where they come from, what a selection answers."""

from __future__ import annotations

from annotator.pages.board import Board
from annotator.pages.browse import Browse
from annotator.pages.journal import Journal, journal_for
from annotator.pages.orders import Order
from annotator.pages.page import PER_PAGE, Marks, NotYet, Page, PageSource, Select, answers
from annotator.pages.wish import Wish, with_target

__all__ = [
    "PER_PAGE",
    "Board",
    "Browse",
    "Journal",
    "Marks",
    "NotYet",
    "Order",
    "Page",
    "PageSource",
    "Select",
    "Wish",
    "answers",
    "journal_for",
    "with_target",
]
