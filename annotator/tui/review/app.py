"""The app that reviews a project."""

from __future__ import annotations

import contextlib

from annotator.curate.review import Review
from annotator.errors import StoreError
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import TerminalCapabilities
from annotator.tui.keymaps import Keymap
from annotator.tui.project_app import ProjectApp
from annotator.tui.review.screen import ReviewScreen


class ReviewApp(ProjectApp):
    """The app that reviews one project, on one screen."""

    TITLE = "annotator review"
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self, project: ProjectFolder, review: Review, keymap: Keymap, caps: TerminalCapabilities
    ) -> None:
        super().__init__(project, caps)
        self.review = review
        self.review_screen = ReviewScreen(project, review, keymap, self.picture)

    def on_mount(self) -> None:
        """Show the review screen, and read once a second what others wrote."""
        self.push_screen(self.review_screen)
        self.set_interval(1.0, self._look_around)

    def _look_around(self) -> None:
        """Take the cases away that others have decided."""
        with contextlib.suppress(StoreError):
            if self.review.session.refresh():
                self.review_screen.sync()
