"""The screen of the curves at full size, one at a time or all at once, and of the slices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from annotator.report.slices import SliceTable
from annotator.session.session import LabelSession
from annotator.tui.curves.charts import chart_facts, make_charts
from annotator.tui.curves.plot import Chart, chart_lines
from annotator.tui.curves.slices import slice_lines
from annotator.tui.key_repeat import Pace
from annotator.tui.keymaps import Keymap
from annotator.tui.label.error_panel import pool_error_state
from annotator.tui.styled_text import Line, line_width, wrap_text
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.lines import Lines
from annotator.tui.workers import make_poster

CHARTS = ("error", "difficulty", "squared", "classes")
PAGES = (*CHARTS, "slices")
SLICES, ALL = len(CHARTS), len(PAGES)
ROOMY = (100, 34)
"""Columns and rows from which the screen shows all curves at once."""


class CurvesScreen(Screen[None]):
    """An opaque screen: the picture below is put away while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,C,q,Q,ctrl+c", "leave", "close", priority=True),
        Binding("right,tab,space,enter", "turn(1)", "next", priority=True),
        Binding("left,shift+tab,backspace", "turn(-1)", "before", priority=True),
        *(Binding(str(page + 1), f"open({page})", name) for page, name in enumerate(PAGES)),
        Binding("0", f"open({ALL})", "all"),
    ]

    class SlicesFound(Message):
        """The slices of the pool, computed in a thread."""

        def __init__(self, table: SliceTable) -> None:
            super().__init__()
            self.table = table

    def __init__(
        self,
        session: LabelSession,
        keymap: Keymap,
        pace: Pace,
        target: float | None,
        prepare: Callable[[], Callable[[], SliceTable]],
    ) -> None:
        """Show the curves of a session; `prepare` returns the function that finds its slices."""
        super().__init__()
        self._prepare, self._finding, self._sliced = prepare, False, object()
        self._post = make_poster(self)
        self._session, self._keymap, self._pace, self._target = session, keymap, pace, target
        self._page: int | None = None
        self._known: object = None
        self._curves, self._keys = ChartPages(id="curves"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the charts above the keys."""
        yield self._curves
        yield self._keys

    def on_mount(self) -> None:
        """Show the keys, and draw the charts once a second."""
        hints = [
            KeyHint("esc", "close", ("leave", ""), 9),
            KeyHint("← →", "turn", ("turn(1)", ""), 8),
            *(
                KeyHint(str(page + 1), name, (f"open({page})", ""), page)
                for page, name in enumerate(PAGES)
            ),
            KeyHint("0", "all", (f"open({ALL})", ""), 7),
        ]
        self._keys.show(hints)
        self.set_interval(1.0, self._renew)
        self._renew()

    def _renew(self) -> None:
        """Draw the curves again after new labels and fits."""
        known = len(self._session.prequential), self._session.ranking, self._session.progress
        if known != self._known:
            self._known = known
            state = pool_error_state(self._session, self._target)
            pages = make_charts(self._session, state, self._keymap)
            facts = [chart_facts(page, state, self._pace.per_minute) for page in range(SLICES)]
            self._curves.show(pages, facts)
        self._renew_slices()

    def _renew_slices(self) -> None:
        """Compare the slices again after a new fit, if they are on screen."""
        ranking = self._session.ranking
        if self._curves.page != SLICES or self._finding or self._sliced is ranking:
            return
        self._finding, self._sliced = True, ranking
        arguments = (self._prepare(),)
        threading.Thread(target=self._find, args=arguments, name="slices", daemon=True).start()

    def _find(self, find: Callable[[], SliceTable]) -> None:
        self._post(self.SlicesFound(find()))

    def on_curves_screen_slices_found(self, message: SlicesFound) -> None:
        """Show the slices."""
        self._finding = False
        self._curves.show_slices(message.table)

    def on_resize(self, event: events.Resize) -> None:
        """Choose between one chart and all, until the annotator has chosen."""
        if self._page is None:
            roomy = event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1]
            self._curves.turn_to(ALL if roomy else 0)

    def action_turn(self, by: int) -> None:
        """Turn to another chart."""
        self.action_open((self._curves.page + by) % (ALL + 1))

    def action_open(self, page: int) -> None:
        """Show one chart, or all."""
        self._page = page
        self._curves.turn_to(page)
        self._renew_slices()

    def action_leave(self) -> None:
        """Close the screen."""
        self.dismiss(None)

    @on(KeyBar.Chosen)
    async def _clicked(self, message: KeyBar.Chosen) -> None:
        await self.run_action(message.action[0])


class ChartPages(Lines):
    """A widget of one chart with its sentences, or of all charts two by two."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._charts: Sequence[Chart] = ()
        self._facts: Sequence[Sequence[str]] = ()
        self._slices: SliceTable | None = None
        self.page = 0

    def show(self, charts: Sequence[Chart], facts: Sequence[Sequence[str]]) -> None:
        """Show these charts with their sentences."""
        self._charts, self._facts = charts, facts
        self.update()

    def show_slices(self, table: SliceTable) -> None:
        """Show these slices on their page."""
        self._slices = table
        self.update()

    def turn_to(self, page: int) -> None:
        """Show one chart, the slices, or all charts."""
        self.page = page
        self.update()

    def draw(self, cells: int, height: int) -> list[Line]:
        """Return the lines of the page."""
        if not self._charts:
            return []
        if self.page == SLICES:
            return slice_lines(self._slices, cells, height)
        if self.page == ALL:
            return all_chart_lines(self._charts, cells, height)
        return chart_page_lines(self._charts[self.page], self._facts[self.page], cells, height)


def chart_page_lines(chart: Chart, facts: Sequence[str], cells: int, height: int) -> list[Line]:
    """Return a chart with its sentences below; the chart keeps half of the height."""
    below: list[Line] = [
        [(f" {line}", "text")] for fact in facts for line in wrap_text(fact, cells - 2)
    ]
    below = below[: max(0, height // 2 - 1)]
    above = height - len(below) - 1 if below else height
    return [*chart_lines(chart, cells, above), *([[], *below] if below else [])]


def all_chart_lines(charts: Sequence[Chart], cells: int, height: int) -> list[Line]:
    """Return the charts two by two."""
    left, upper = cells // 2, height // 2
    lines = []
    for first, second, rows in (
        (charts[0], charts[1], upper),
        (charts[2], charts[3], height - upper),
    ):
        pairs = zip(
            chart_lines(first, left - 1, rows - 1),
            chart_lines(second, cells - left, rows - 1),
            strict=True,
        )
        lines += [[*one, (" " * (left - line_width(one)), "text"), *other] for one, other in pairs]
        lines.append([])
    return lines[:height]
