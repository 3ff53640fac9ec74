"""The screen of a replay: a worker's pointer and selections over the pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import events

from annotator.hits.replay import PageReplay, ReplayEvent, ReplaySource
from annotator.pages import Page
from annotator.terminal.sheet import PointerDot, Sheet
from annotator.tui.pages.keys import PAGE_COMMANDS, PageCommand
from annotator.tui.pages.screen import PageScreen

_TICK = 0.1
_KEPT = {
    "submit": ("next", "Show the next page."),
    "undo": ("back", "Show the page before."),
    "zoom": ("zoom", "Show the tile in true pixels; again for as large as fits."),
    "step": ("", "Move from tile to tile."),
}
_ALSO = ("turn", "help", "leave", "escape")


class ReplayScreen(PageScreen):
    """Pages on which time runs as it did for the worker. Nothing is written."""

    source: ReplaySource
    commands: ClassVar[Sequence[PageCommand]] = (
        PageCommand(
            "pause", lambda screen, _: screen.toggle_pause(), {"space": ""}, "space", "pause",
            "Stop the time, or let it run.",
        ),
        *(
            replace(c, title=_KEPT[c.name][0], help=_KEPT[c.name][1])
            for c in PAGE_COMMANDS
            if c.name in _KEPT
        ),
        *(c for c in PAGE_COMMANDS if c.name in _ALSO),
        *(PageCommand(name, lambda screen, _: None) for name in ("spell", "give")),
    )  # fmt: skip
    footer: ClassVar[Sequence[str]] = ("pause", "submit", "undo", "help", "leave", "zoom")

    def __init__(self, source: ReplaySource, *args: Any, speed: float, **options: Any) -> None:
        """Replay the pages of `source`, `speed` times as fast as they were."""
        super().__init__(source, *args, prediction=False, **options)
        self.all_must_be_seen = False
        self._speed, self._paused = speed, False
        self._replay: PageReplay | None = None
        self._todo: deque[ReplayEvent] = deque()
        self._ms = 0.0
        self._dot: PointerDot | None = None
        self._clicks: dict[int, PointerDot] = {}

    def on_mount(self) -> None:
        """Let the time run."""
        self.set_interval(_TICK, self._advance_time)

    def _begin(self, page: Page) -> None:
        self._replay = self.source.find(page)
        self._todo, self._ms = deque(self._replay.events), 0.0
        self._dot = None
        self._clicks.clear()
        super()._begin(page)

    def on_click(self, event: events.Click) -> None:
        """Do nothing: the selection is the worker's."""
        event.prevent_default()

    def toggle_pause(self) -> None:
        """Stop the time, or let it run."""
        self._paused = not self._paused

    def _advance_time(self) -> None:
        """Show what the worker did in the next moment."""
        replay = self._replay
        if self.page is None or replay is None or not self.shows or self.shows_other_item:
            return
        if not self._paused:
            self._ms = min(self._ms + 1000 * _TICK * self._speed, replay.duration_ms)
        changed = set[int]()
        while self._todo and self._todo[0].ms <= self._ms:
            changed |= self._apply(self._todo.popleft())
        if changed:
            self.refresh_tiles(changed, "replay")
        self._redraw_if_changed()
        state = "paused" if self._paused else f"{self._speed:g}x"
        seconds = f"{self._ms / 1000:.1f} s of {replay.duration_ms / 1000:.1f} s"
        self.header.say(f"{seconds}, {state}", "dim")

    def _apply(self, event: ReplayEvent) -> set[int]:
        """Move the dot, and return the tiles whose selection changes."""
        page, selection = self.require_page()
        if event.place >= len(page.refs):
            return set()
        if event.point is not None:
            self._dot = PointerDot(event.place, *event.point)
        if event.selected is None:
            return set()
        if event.selected and event.point is not None:
            self._clicks[event.place] = PointerDot(event.place, *event.point)
        elif not event.selected:
            self._clicks.pop(event.place, None)
        if selection.selected(event.place) != event.selected:
            return selection.toggle(event.place)
        return set()

    def _make_sheet(self, page: Page, first: int) -> Sheet | None:
        sheet = super()._make_sheet(page, first)
        if sheet is None or page is not self.page:
            return sheet
        dots = {*self._clicks.values(), *([self._dot] if self._dot else [])}
        view = range(first, first + len(sheet.items))
        here = (dot._replace(place=dot.place - first) for dot in dots if dot.place in view)
        return replace(sheet, dots=frozenset(here))

    def _redraw_if_changed(self) -> None:
        """Show the dots at their new places."""
        if self.page is None:
            return
        sheet = self._make_sheet(self.page, self.first)
        if sheet is not None and sheet != self._sheet:
            self._sheet = sheet
            self._show_sheet(sheet)
