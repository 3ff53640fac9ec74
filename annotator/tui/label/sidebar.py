"""Beside the picture: the classes, progress, and what is known of the errors."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from annotator.session.session import LabelSession
from annotator.tui.key_repeat import Pace
from annotator.tui.keymaps import Keymap
from annotator.tui.label import text as label_text
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.error_panel import PoolErrorState, pool_error_state
from annotator.tui.label.multi_label import ChosenClasses
from annotator.tui.label.progress_panel import (
    DifficultyCurve,
    PanelState,
    ProgressPanel,
    difficulty_curves,
)

PANEL_ROWS = 13
"""Lines that the panel has before the classes get more than one line each."""
SOON = 0.06
PROGRESS_ROWS = 5
"""Lines that it keeps however many classes there are."""


class Sidebar(Vertical):
    """Shows a session's numbers; call `show` whenever they may have changed."""

    def __init__(
        self,
        session: LabelSession,
        keymap: Keymap,
        pace: Pace,
        target: float | None = None,
        **options: Any,
    ) -> None:
        """`target` is the error below which one may stop."""
        super().__init__(**options)
        self._target = target
        self._session, self._keymap, self._pace = session, keymap, pace
        # Held, not looked up: a fit may end after the screen has let go of them.
        self._class_bar, self._numbers = ClassList(id="classes"), ProgressPanel(id="panel")
        self._curves: tuple[DifficultyCurve, ...] = ()
        self._known: object = None
        self._per_minute: float | None = None
        self._pending: Timer | None = None
        self._honest = PoolErrorState()
        self.hides_prediction = False
        self.choice = ChosenClasses(session)

    def compose(self) -> ComposeResult:
        yield self._class_bar
        yield self._numbers

    def give(self, rows: int) -> None:
        """Say how many lines there are for all of it."""
        self._class_bar.give(rows - 1 - PANEL_ROWS, rows - PROGRESS_ROWS)

    def show_soon(self) -> None:
        """Show within moments: by then a quick fit has its word, and all goes out at once."""
        if self._known is None:
            self.renew()
            self.show()
        elif self._pending is None:
            self._pending = self.set_timer(SOON, self.show)

    def toggle(self, name: str) -> None:
        """Choose a class for the item, or no longer, where it may have several."""
        self.choice.toggle(name)
        self.show()

    def show(self) -> None:
        self._pending = None
        chosen = self.choice.names
        rows = label_text.class_rows(self._session, self._keymap, self.hides_prediction, chosen)
        self._class_bar.show(rows)
        self._show_panel()

    def renew(self) -> None:
        """Once a second is enough for curves and pace: over a slow line each byte counts."""
        self._per_minute = self._pace.per_minute
        known = len(self._session.difficulty), self._session.ranking, self._session.strategy.find
        if self._known != known:
            self._known = known
            blind = self._session.blind
            self._curves = () if blind else difficulty_curves(self._session.difficulty)
            self._honest = pool_error_state(self._session, self._target)
        self._show_panel()

    def _show_panel(self) -> None:
        state = PanelState(
            self._session.progress,
            self._per_minute,
            self._curves,
            self._honest,
            next(iter(self._keymap.keys("strategy")), ""),
            label_text.audit_words(self._session),
        )
        self._numbers.show(state)
