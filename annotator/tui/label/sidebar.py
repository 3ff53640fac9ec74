"""The sidebar of the labelling screen: the error and what is left, the classes, the progress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from annotator.tui.label import text as label_text
from annotator.tui.label.class_list import ChosenClasses, ClassList
from annotator.tui.label.digits import PictureKeys
from annotator.tui.label.error_panel import PoolErrorState, describe_wait, pool_error_state
from annotator.tui.label.progress_panel import (
    DifficultyCurve,
    PanelState,
    ProgressPanel,
    difficulty_curves,
)
from annotator.tui.label.top_panel import (
    TopPanel,
    TopState,
    count_top_rows,
    first_hints,
    first_texts,
)

if TYPE_CHECKING:
    from annotator.session.mode import AuditMeter
    from annotator.session.session import LabelSession
    from annotator.tui.key_repeat import Pace
    from annotator.tui.keymaps import Keymap
    from annotator.tui.label.walk import Walk

PANEL_ROWS = 8
"""Lines of the lower panel before a class gets more than one line."""
SOON = 0.06
"""Seconds in which a quick fit may arrive, so that all changes go out at once."""
PROGRESS_ROWS = 4
"""Lines that the lower panel keeps beside many classes, with the gap above it."""


class Sidebar(Vertical):
    """The classes and numbers of a session. Call `show` after each change."""

    def __init__(
        self,
        session: LabelSession,
        walk: Walk,
        keymap: Keymap,
        pace: Pace,
        target: float | None = None,
        **options: Any,
    ) -> None:
        """Prepare the sidebar; `target` is the error below which the annotator may stop."""
        super().__init__(**options)
        self._target = target
        self._session, self._walk, self._pace = session, walk, pace
        self._picture_keys, self.keymap = PictureKeys(session, walk, keymap), keymap
        # Held, not looked up: a fit may end after the screen has let go of them.
        self._class_bar, self._numbers = ClassList(id="classes"), ProgressPanel(id="panel")
        self._top = TopPanel(id="top")
        self._top.display = not session.blind
        self._curves: tuple[DifficultyCurve, ...] = ()
        self._known: object = None
        self._per_minute: float | None = None
        self._pending: Timer | None = None
        self._pool_error = PoolErrorState()
        self._metered: tuple[int, AuditMeter] | None = None
        self.hides_prediction = False
        """True while the annotator has hidden the prediction."""
        self.names_command = ""
        """The command that gives the names of the classes a part in the model, if it is needed."""
        self._choice = ChosenClasses()

    def compose(self) -> ComposeResult:
        """Lay out the error and what is left, the classes, and the progress."""
        yield self._top
        yield self._class_bar
        yield self._numbers

    def allot_rows(self, rows: int) -> None:
        """Set the number of lines of the sidebar."""
        if not self._session.blind:
            top = count_top_rows(rows, several=self._session.multi)
            self._top.styles.height = top
            rows -= top + 1
        self._class_bar.allot_rows(rows - 1 - PANEL_ROWS, rows - PROGRESS_ROWS)

    def show_soon(self) -> None:
        """Show after `SOON` seconds, together with the result of a quick fit.

        Digits that mean other classes are shown at once, with their picture.
        """
        before = self.keymap
        self.keymap = self._picture_keys.now(self.hides_prediction)
        if self._known is None:
            self.renew()
            self.show()
        elif self.keymap.likeliest != before.likeliest:
            self.show()
        elif self._pending is None:
            self._pending = self.set_timer(SOON, self.show)

    def use_keys(self, keymap: Keymap) -> bool:
        """Use the keys of other classes, at once or from the next picture on; return which."""
        return self._picture_keys.use(keymap)

    def use_letters(self, letters: Mapping[str, str]) -> None:
        """Write the keys as they stand on the annotator's keyboard."""
        self._picture_keys.letters = letters
        self.keymap = self._picture_keys.now(self.hides_prediction)
        self.show()

    def digit_painted_at(self, key: str) -> float:
        """Return since when the list shows what a key means; -inf for one that always means it."""
        return self._class_bar.painted_at if key in self.keymap.digits else -math.inf

    @property
    def chosen(self) -> frozenset[str]:
        """The classes chosen for the current item, in a project whose items may have several."""
        if self._walk.active:
            return self._walk.chosen
        item = self._session.current
        return self._choice.names(item.ref) if item is not None else frozenset()

    def toggle_choice(self, name: str) -> None:
        """Choose a class for the current item, or take the choice back."""
        item = self._session.current
        if self._walk.active:
            self._walk.toggle(name)
        elif item is not None:
            self._choice.toggle(item.ref, name)
        self.show()

    def show(self) -> None:
        """Show the session as it is now."""
        self._pending = None
        shares = None if self.hides_prediction else self._walk.prediction
        chosen = self.chosen if self._session.multi or self._walk.active else None
        rows = label_text.class_rows(self._session, self.keymap, shares, chosen)
        self._class_bar.show(rows, len(self.keymap.likeliest))
        self._show_panel()

    def renew(self) -> None:
        """Update the curves and the pace: once a second, because a slow line counts bytes."""
        self._per_minute = self._pace.per_minute
        known = len(self._session.prequential), self._session.ranking, self._session.strategy.find
        if self._known != known:
            self._known = known
            blind = self._session.blind
            self._curves = () if blind else difficulty_curves(self._session.prequential)
            self._pool_error = pool_error_state(self._session, self._target)
        self._show_panel()

    def _meter(self) -> AuditMeter | None:
        """Return how far the audit is after the last row."""
        meter, state = self._session.mode.meter, self._session.state
        if meter is None:
            return None
        if self._metered is None or self._metered[0] != state.seq:
            self._metered = state.seq, meter(state)
        return self._metered[1]

    def _show_panel(self) -> None:
        session, progress = self._session, self._session.progress
        hunt, pages = (next(iter(self.keymap.keys(name)), "") for name in ("strategy", "pages"))
        state = PanelState(
            progress,
            self._per_minute,
            self._curves,
            self._pool_error,
            hunt,
            (*label_text.team_words(session), *label_text.audit_words(session)),
            self._meter(),
            session.blind,
        )
        self._numbers.show(state)
        if not session.blind:
            # Pages and an audit are about the whole pool, not about a part of it.
            ranking = session.ranking if not session.within else None
            work = ranking.work if ranking else None
            first = None
            if not session.state.seq:
                keys, about = first_hints(self.keymap, session.classes, several=session.multi)
                first = keys, first_texts(about, self.names_command)
            self._top.show(
                TopState(
                    self._pool_error, work, progress.remaining, self._per_minute, pages,
                    describe_wait(session), session.multi, first,
                )
            )  # fmt: skip
