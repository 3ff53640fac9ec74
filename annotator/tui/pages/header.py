"""The top of a page: the class, what is known of it, and what a selection means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annotator.pages import Page
from annotator.project.settings import ClassInfo
from annotator.tui.pages import text as page_text
from annotator.tui.styled_text import Line, clip_end, justify_line
from annotator.tui.widgets.lines import Lines


class PageHeader(Lines):
    """Two or three lines; `tell` what holds now."""

    def __init__(self, title: str, **options: Any) -> None:
        super().__init__(**options)
        self._title, self._page = title, None  # type: str, Page | None
        self._info: ClassInfo | None = None
        self._said: tuple[str, str, str] = ("", "", "")
        self._message: tuple[str, str] = ("", "dim")

    def tell(self, page: Page, info: ClassInfo | None, sentences: tuple[str, str, str]) -> None:
        """The page, its class, and: what selecting means, what Enter would write, the order."""
        self._page, self._info, self._said = page, info, sentences
        self.update()

    def forget(self) -> None:
        """There is no page."""
        self._page = None
        self.update()

    def say(self, text: str, role: str = "text") -> None:
        """A message in the last line for a while; "" takes it away."""
        self._message = (text, role)
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        if self._page is None:
            return [[(f" {self._title}", "title")]]
        lines = page_text.header_lines(
            self._page, self._info, self._title, self._said, cells, height
        )
        text, role = self._message
        if text:  # what selecting means can wait, what Enter would write cannot
            counts = self._said[1]
            said = f" {clip_end(text, cells - len(counts) - 4)}"
            lines[-1] = justify_line([(said, role)], [(f"{counts} ", "good")], cells)
        return lines
