"""What is known of a case under review, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annotator.review import Case, Review
from annotator.tui import reviewwords as words
from annotator.tui.text import Line
from annotator.tui.widgets.lines import Lines


class ReviewPanel(Lines):
    """What is known of the case, and how many are left."""

    def __init__(self, review: Review, **options: Any) -> None:
        super().__init__(**options)
        self._review, self._shown = review, -1
        self._case: Case | None = None

    def show(self, case: Case | None, shown: int) -> None:
        self._case, self._shown = case, shown
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        return words.panel_lines(self._case, self._review, cells, self._shown)
