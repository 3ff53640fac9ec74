"""The app that reviews: its one screen, its colours, and what others write meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import partial
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from annotator.curate.review import Review
from annotator.errors import ProjectError, StoreError
from annotator.images import ImageFolder
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import TerminalCapabilities
from annotator.tui.keymaps import make_keymap
from annotator.tui.picture.driver import driver_for
from annotator.tui.picture.picture import PictureView
from annotator.tui.review.screen import ReviewScreen
from annotator.tui.themes import DEFAULT, THEMES

_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class ReviewApp(App[None]):
    """Reviews one project."""

    CSS_PATH = "app.tcss"
    TITLE = "annotator review"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "suspend_process", show=False)]

    def __init__(self, project: ProjectFolder, review: Review, caps: TerminalCapabilities) -> None:
        super().__init__(driver_class=driver_for(caps))
        settings = project.settings
        self.review = review
        self.signalled: int | None = None
        keymap = make_keymap(settings.keymap, settings.classes, settings.keys)
        load = partial(
            ImageFolder(project.images, settings.max_pixels).crop, context=settings.context
        )
        picture = PictureView(
            load, caps, depth=settings.ahead, guard=settings.seen_guard,
            lossless=settings.pictures == "exact",
        )  # fmt: skip
        self.review_screen = ReviewScreen(project, review, keymap, picture)
        for theme in THEMES:
            self.register_theme(theme)
        name = settings.theme or DEFAULT
        if name not in self.available_themes:
            known = ", ".join(sorted(self.available_themes))
            raise ProjectError(f"no theme {name!r}; choose one of {known}")
        self.theme = name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """For the themes that are not ours."""
        return {"role-dim": "#8b93a5", "role-track": "#58606e"}

    def on_mount(self) -> None:
        if not self.is_headless:
            for number in _SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._end_by, number)
        self.push_screen(self.review_screen)
        self.set_interval(1.0, self._look_around)

    def _look_around(self) -> None:
        """See what others wrote: a case that they have decided goes away."""
        with contextlib.suppress(StoreError):
            if self.review.session.refresh():
                self.review_screen.sync()

    def _end_by(self, number: int) -> None:
        self.signalled = number
        self.exit()
