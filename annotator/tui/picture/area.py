"""Where the picture is, or the words in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from annotator.items.refs import Item
from annotator.tui.picture.picture import PictureView
from annotator.tui.widgets.notice import Notice


class PictureArea(Vertical):
    """Shows an item, with the next ones and the last one at hand, or a notice."""

    def __init__(self, picture: PictureView, **options: Any) -> None:
        super().__init__(**options)
        self.picture = picture
        self._notice = Notice(id="notice")
        self._before: Item | None = None

    def compose(self) -> ComposeResult:
        yield self.picture
        yield self._notice

    def show(self, item: Item, ahead: Sequence[Item]) -> bool:
        """Show an item; whether it is another one than before."""
        changed = item != self.picture.item
        if changed:
            self._before = self.picture.item
            self.picture.show(item)
        self._turn(to_picture=True)
        before = [self._before] if self._before not in (None, item) else []
        self.picture.expect([*ahead, *(one for one in before if one is not None)])
        return changed

    def show_notice(self, heading: str, paragraphs: Sequence[tuple[str, str]]) -> None:
        """Show words."""
        if self.picture.item is not None:
            self.picture.clear()
        self._turn(to_picture=False)
        self._notice.show(heading, paragraphs)

    def _turn(self, *, to_picture: bool) -> None:
        if self._notice.display == to_picture:
            self.picture.display, self._notice.display = to_picture, not to_picture
