"""Beside the picture: the classes, progress, and what is known of the errors."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from annotator.session import Session
from annotator.tui import view
from annotator.tui.keymaps import Keymap
from annotator.tui.pace import Pace
from annotator.tui.widgets.classbar import ClassBar
from annotator.tui.widgets.panel import Curve, Panel, PanelState, curves

PANEL_ROWS = 13
"""Lines that the panel has before the classes get more than one line each."""
PROGRESS_ROWS = 5
"""Lines that it keeps however many classes there are."""


class Sidebar(Vertical):
    """Shows a session's numbers; call `show` whenever they may have changed."""

    def __init__(self, session: Session, keymap: Keymap, pace: Pace, **options: Any) -> None:
        super().__init__(**options)
        self._session, self._keymap, self._pace = session, keymap, pace
        self._curves: tuple[Curve, ...] = ()
        self._known = -1
        self.hides_prediction = False

    def compose(self) -> ComposeResult:
        yield ClassBar(id="classes")
        yield Panel(id="panel")

    def give(self, rows: int) -> None:
        """Say how many lines there are for all of it."""
        self.query_one(ClassBar).give(rows - 1 - PANEL_ROWS, rows - PROGRESS_ROWS)

    def show(self) -> None:
        rows = view.class_rows(self._session, self._keymap, self.hides_prediction)
        self.query_one(ClassBar).show(rows)
        self._show_panel()

    def renew_curves(self) -> None:
        """Once a second is enough for them: over a slow line each byte at a key counts."""
        if self._known != len(self._session.difficulty):
            self._known = len(self._session.difficulty)
            self._curves = curves(self._session.difficulty)
            self._show_panel()

    def _show_panel(self) -> None:
        if self._known < 0:
            self.renew_curves()
        ranking, progress = self._session.ranking, self._session.progress
        estimate = ranking.estimate if ranking else None
        state = PanelState(progress, self._pace.per_minute, self._curves, estimate)
        self.query_one(Panel).show(state)
