"""What the screens that ask about one picture have in common."""

from __future__ import annotations

import time

from textual import on
from textual.screen import Screen
from textual.timer import Timer

from annotator.items.refs import Item
from annotator.project.project import ProjectFolder
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.picture.area import PictureArea
from annotator.tui.picture.picture import PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.widgets.bars import CaptionBar, Header, KeyBar
from annotator.tui.widgets.notice import Banner

MESSAGE_SECONDS = 4.0


class QuestionScreen(Screen[None]):
    """One picture between a header and what can be done; knows since when it is looked at."""

    def __init__(self, project: ProjectFolder, picture: PictureView) -> None:
        super().__init__()
        self.project, self.picture = project, picture
        self._compositor = TightCompositor()
        self._covered = False
        """Whether a dialog has the keys."""
        self._shown: tuple[Item | None, float] = (None, 0.0)
        self._broken: Item | None = None
        self._quiet: Timer | None = None
        self._held = KeyRepeatFilter(project.settings.seen_guard != "off")
        # Held, not looked up: the app has things to say before the screen is mounted.
        self.header = Header(project.folder.resolve().name, id="header")
        self.stage = PictureArea(picture, id="stage")
        self.banner = Banner(id="banner")
        self.caption = CaptionBar(id="caption")
        self.keys = KeyBar(id="keys")

    def say(self, text: str, role: str = "text", seconds: float = MESSAGE_SECONDS) -> None:
        """A message at the top that goes by itself."""
        if self._quiet is not None:
            self._quiet.stop()
        self.header.say(text, role)
        self._quiet = self.set_timer(seconds, lambda: self.header.say("")) if text else None

    @property
    def shown_ms(self) -> int | None:
        """How long the picture has been looked at."""
        item, at = self._shown
        return round(1000 * (time.monotonic() - at)) if item == self.picture.item else None

    @on(PictureView.Shown)
    @on(PictureView.Seen)
    def _picture_shown(self, message: PictureView.Shown | PictureView.Seen) -> None:
        self._shown = (message.item, time.monotonic())

    @on(PictureView.Broken)
    def _picture_broken(self, message: PictureView.Broken) -> None:
        self._broken = message.item
