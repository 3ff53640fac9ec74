"""What the screens that ask about one picture have in common."""

from __future__ import annotations

import time

from textual import on
from textual.screen import Screen
from textual.timer import Timer

from annotator.items.refs import Item
from annotator.project.project import Project
from annotator.tui.key_repeat import Held
from annotator.tui.picture.area import Stage
from annotator.tui.picture.picture import Picture
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.widgets.bars import Caption, Header, KeyBar
from annotator.tui.widgets.notice import Banner

SAID_SECONDS = 4.0


class AskingScreen(Screen[None]):
    """One picture between a header and what can be done; knows since when it is looked at."""

    def __init__(self, project: Project, picture: Picture) -> None:
        super().__init__()
        self.project, self.picture = project, picture
        self._compositor = TightCompositor()
        self._covered = False
        """Whether a dialog has the keys."""
        self._shown: tuple[Item | None, float] = (None, 0.0)
        self._broken: Item | None = None
        self._quiet: Timer | None = None
        self._held = Held(project.settings.seen_guard != "off")
        # Held, not looked up: the app has things to say before the screen is mounted.
        self.header = Header(project.folder.resolve().name, id="header")
        self.stage = Stage(picture, id="stage")
        self.banner = Banner(id="banner")
        self.caption = Caption(id="caption")
        self.keys = KeyBar(id="keys")

    def say(self, text: str, role: str = "text", seconds: float = SAID_SECONDS) -> None:
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

    @on(Picture.Shown)
    @on(Picture.Seen)
    def _picture_shown(self, message: Picture.Shown | Picture.Seen) -> None:
        self._shown = (message.item, time.monotonic())

    @on(Picture.Broken)
    def _picture_broken(self, message: Picture.Broken) -> None:
        self._broken = message.item
