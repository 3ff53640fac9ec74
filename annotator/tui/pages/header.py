"""The top of a page: the class, its description, and the meaning of a selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annotator.items.refs import make_printable
from annotator.pages import Page
from annotator.project.settings import ClassInfo
from annotator.tui.styled_text import Line, clip_end, justify_line, line_width
from annotator.tui.widgets.lines import Lines


class PageHeader(Lines):
    """Two or three lines about the page on screen."""

    def __init__(self, title: str, **options: Any) -> None:
        """Begin without a page; `title` is the name of the pages."""
        super().__init__(**options)
        self._title = title
        self._page: Page | None = None
        self._info: ClassInfo | None = None
        self._sentences: tuple[str, str, str] = ("", "", "")
        self._message: tuple[str, str] = ("", "dim")

    def show(self, page: Page, info: ClassInfo | None, sentences: tuple[str, str, str]) -> None:
        """Show a page and its class.

        `sentences` are the meaning of a selection, the answers that Enter writes, and the order.
        """
        self._page, self._info, self._sentences = page, info, sentences
        self.update()

    def forget(self) -> None:
        """Show that there is no page."""
        self._page = None
        self.update()

    def say(self, text: str, role: str = "text") -> None:
        """Show a message in the last line; "" takes it away."""
        self._message = (text, role)
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the lines for a width and a height."""
        if self._page is None:
            return [[(f" {self._title}", "title")]]
        lines = header_lines(self._page, self._info, self._title, self._sentences, cells, height)
        text, role = self._message
        if text:  # the meaning of a selection can wait, the answers that Enter writes cannot
            outcome = self._sentences[1]
            message = f" {clip_end(text, cells - len(outcome) - 4)}"
            lines[-1] = justify_line([(message, role)], [(f"{outcome} ", "good")], cells)
        return lines


def format_page_number(page: Page) -> str:
    """Return `page 3 of 12`, or `page 3` if the number of pages is unknown."""
    return f"page {page.number:,} of {page.of:,}" if page.of else f"page {page.number:,}"


def header_lines(
    page: Page, info: ClassInfo | None, title: str, sentences: Sequence[str], cells: int, rows: int
) -> list[Line]:
    """Return the top of a page: the class, its description, the meaning of a selection.

    The order stands in the last line, or in the first one if it has room only there.
    """
    name = make_printable(info.name) if info else make_printable(title)
    lines: list[Line] = []
    first: Line = [(f" {clip_end(name, cells // 2)} ", "key")]
    if info and info.synonyms:
        first.append((f"  {clip_end(', '.join(info.synonyms), cells // 3)}", "text"))
    room = cells - line_width(first) - len(format_page_number(page)) - 6
    if info and info.link and room > 8:
        first.append((f"  {clip_end(info.link, room)}", "code"))
    number: Line = [(f"{format_page_number(page)} ", "dim")]
    lines.append(justify_line(first, number, cells))
    if info and info.description and rows > 2:
        lines.append([(f" {clip_end(info.description, cells - 2)}", "dim")])
    meaning, outcome, order = sentences
    room = cells - len(outcome) - 4
    left: Line = [
        (f" {clip_end(meaning, room)}", "strong"),
        (f"  {clip_end(outcome, cells - 2)}", "good"),
    ]
    if line_width(left) + len(order) + 2 > cells >= line_width([*first, *number]) + len(order) + 4:
        lines[0] = justify_line([*first, (f"  {order}", "dim")], number, cells)
        order = ""
    lines.append(justify_line(left, [(f"{order} ", "dim")], cells))
    return lines
