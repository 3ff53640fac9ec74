"""The notice in place of the picture, and the banner of warnings under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from textual.geometry import Size

from annotator.errors import StoreError
from annotator.items.refs import make_printable
from annotator.tui.styled_text import Line, clip_end, line_width, wrap_text
from annotator.tui.widgets.lines import Lines

MARGIN = 4
T = TypeVar("T")


class Notice(Lines):
    """A heading and paragraphs, in the middle of the space."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._heading = ""
        self._paragraphs: Sequence[tuple[str, str]] = ()

    def show(self, heading: str, paragraphs: Sequence[tuple[str, str]] = ()) -> None:
        """Show a heading and paragraphs with their roles; "code" is a command and never wrapped."""
        self._heading, self._paragraphs = heading, paragraphs
        self.update()

    def draw(self, cells: int, height: int) -> list[Line]:
        """Return the lines in the middle of the space."""
        room = max(1, cells - 2 * MARGIN)
        lines: list[Line] = [[(text, "title")] for text in wrap_text(self._heading, room)]
        for text, role in self._paragraphs:
            pieces = [clip_end(text, cells - 2)] if role == "code" else wrap_text(text, room)
            lines += [[], *([(piece, role)] for piece in pieces)]
        indent = max(1, min(MARGIN, (cells - max(map(line_width, lines), default=0)) // 2))
        above = max(0, (height - len(lines)) // 2 - 1)
        return [[]] * above + [[(" " * indent, "text"), *line] for line in lines]


class Banner(Lines):
    """The warnings: the problem, and what to do. The banner is hidden without a warning.

    Each warning has a topic, and the first in `TOPICS` is shown. A topic is cleared by itself: a
    label that is saved again does not clear a warning about features.
    """

    MOST = 4
    TOPICS = (
        "store", "read", "items", "settings", "classes", "features", "names", "fit", "list",
        "watch", "hook",
    )  # fmt: skip

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._warnings: dict[str, str] = {}
        self.display = False

    @property
    def text(self) -> str:
        """The warning on screen; "" for none."""
        shown = sorted(self._warnings, key=self.TOPICS.index)
        return self._warnings[shown[0]] if shown else ""

    def has(self, topic: str) -> bool:
        """Return whether there is a warning about a topic."""
        return topic in self._warnings

    def warn(self, topic: str, text: str) -> None:
        """Show a warning; "" clears the warning of its topic."""
        before = self.text
        self._warnings.pop(topic, None)
        if text:
            self._warnings[topic] = text
        if self.text != before:
            self.display = bool(self.text)
            self.refresh(layout=True)
            self.update()

    def run_saving(self, write: Callable[[], T]) -> T | None:
        """Return the result of a write; show a warning and return None if the store failed."""
        try:
            result = write()
        except StoreError as error:
            self.warn("store", f"NOT SAVED: {make_printable(str(error))}")
            self.app.bell()
            return None
        self.warn("store", "")
        return result

    def dismiss(self) -> None:
        """Clear the warning that is shown."""
        shown = self.text
        for topic in [topic for topic, text in self._warnings.items() if text == shown]:
            self.warn(topic, "")

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines of the warning, up to `MOST`."""
        return min(self.MOST, len(wrap_text(self.text, max(1, width - 4))))

    def draw(self, cells: int, height: int) -> list[Line]:
        """Return the lines of the warning."""
        lines = wrap_text(self.text, max(1, cells - 4))
        if len(lines) > height:
            lines[height - 1] = clip_end(lines[height - 1], cells - 6) + " …"
        return [[("  ", "text"), (line, "text")] for line in lines[:height]]
