"""Progress and pace, the estimated error, and how hard the items were that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.log.prequential import WINDOW, PrequentialScores, windowed_mean
from annotator.session.progress import Progress
from annotator.tui.key_repeat import format_duration
from annotator.tui.label.error_panel import (
    PoolErrorState,
    error_lines,
    history_lines,
    outlook_lines,
    rare_lines,
    share_lines,
)
from annotator.tui.styled_text import (
    Line,
    draw_bar,
    draw_sparkline,
    justify_line,
    line_width,
    wrap_text,
)
from annotator.tui.widgets.lines import Lines

DIFFICULTY = "difficulty of what you are shown"


@dataclass(frozen=True, slots=True)
class DifficultyCurve:
    """One measure of difficulty."""

    name: str
    values: NDArray[np.float64]
    """Windowed, one for each label."""
    recent: float
    overall: float
    rate: bool
    """Whether it is a share, written in percent."""

    @property
    def top(self) -> float:
        """The value at full height: a round one above all, so that it seldom changes."""
        highest = float(self.values.max())
        return next(top for top in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if highest <= top)


@dataclass(frozen=True, slots=True)
class PanelState:
    """What the panel shows."""

    progress: Progress | None = None
    per_minute: float | None = None
    curves: tuple[DifficultyCurve, ...] = ()
    honest: PoolErrorState = field(default_factory=PoolErrorState)
    hunt_key: str = ""
    """The key that hunts for a class."""
    notices: tuple[str, ...] = ()
    """Sentences that hold for the whole sitting."""


def difficulty_curves(difficulty: PrequentialScores) -> tuple[DifficultyCurve, ...]:
    """Error rate and squared error so far; nothing before the first predicted label."""
    if not len(difficulty):
        return ()
    return (
        _curve("wrong", difficulty.wrong, rate=True),
        _curve("squared", difficulty.squared_errors, rate=False),
    )


def _curve(name: str, values: NDArray[np.float64], *, rate: bool) -> DifficultyCurve:
    recent = windowed_mean(values)
    return DifficultyCurve(name, recent, float(recent[-1]), float(values.mean()), rate)


class ProgressPanel(Lines):
    """The lower part of the sidebar."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._state = PanelState()

    def show(self, state: PanelState) -> None:
        self._state = state
        self.update()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        return panel_lines(self._state, width, height)


class PanelSection(NamedTuple):
    """A part of the panel. Sections with the same tens belong together, without a gap."""

    place: int
    lines: list[Line]


def panel_lines(state: PanelState, cells: int, height: int) -> list[Line]:
    """What matters most and has room, in its place; of a section's forms the last that fits."""
    chosen: dict[int, list[Line]] = {}
    for section in _by_worth(state, cells):
        attempt = {**chosen, section.place: section.lines}
        if section.lines and len(_stacked(attempt)) <= height:
            chosen = attempt
    return _stacked(chosen)


def _by_worth(state: PanelState, cells: int) -> Iterator[PanelSection]:
    """Every section in each of its forms, the most needed first."""
    known, progress = state.honest, state.progress
    if progress is not None:
        yield PanelSection(0, progress_lines(progress, state.per_minute, cells))
    for place, notice in enumerate(state.notices):
        yield PanelSection(
            10 + place, [[(f" {line}", "text")] for line in wrap_text(notice, cells - 2)]
        )
    yield PanelSection(20, error_lines(known, cells))
    yield PanelSection(22, outlook_lines(known, state.per_minute, cells))
    yield PanelSection(30, rare_lines(known, cells, state.hunt_key))
    yield PanelSection(50, short_lines(state.curves, cells))
    yield PanelSection(21, history_lines(known, cells, 2))
    yield PanelSection(40, share_lines(known, cells, 2))
    yield PanelSection(50, tall_lines(state.curves, cells))
    yield PanelSection(21, history_lines(known, cells, 4))
    yield PanelSection(40, share_lines(known, cells, 9))


def _stacked(sections: Mapping[int, list[Line]]) -> list[Line]:
    """The sections in their places, an empty line between those that do not belong together."""
    lines: list[Line] = []
    before = None
    for place, section in sorted(sections.items()):
        if before is not None and place // 10 != before // 10:
            lines.append([])
        lines += section
        before = place
    return lines


def progress_lines(progress: Progress, per_minute: float | None, cells: int) -> list[Line]:
    """Labelled of all, pace, and what is set aside."""
    done = progress.items - progress.remaining
    share = done / progress.items if progress.items else 0.0
    of = f" of {progress.items:,}" if progress.items else " labelled"  # until the list is there
    counts: Line = [(f" {progress.labelled:,}", "strong"), (of, "dim")]
    # Rounded down: 100 % is for when all is done.
    number: Line = [(f"{int(1000 * share) / 10:.1f} % ", "dim")]
    lines = [
        justify_line(counts, number, cells),
        [(" ", "text"), *draw_bar(share, cells - 2), (" ", "text")],
    ]
    if per_minute:
        left = format_duration(progress.remaining / per_minute * 60)
        left = f" · {left} left" if progress.remaining else ""
        lines.append([(f" {per_minute:.0f} a minute", "text"), (left, "dim")])
    aside = [
        f"{count:,} {word}"
        for count, word in (
            (progress.skipped, "skipped"),
            (progress.flagged, "flagged"),
            (progress.elsewhere, "with others"),
        )
        if count
    ]
    rows = [line.strip(" ·") for line in wrap_text(" · ".join(aside), cells - 2)]
    return lines + [[(f" {row}", "dim")] for row in rows if row]


def tall_lines(found: Sequence[DifficultyCurve], cells: int) -> list[Line]:
    """Each measure on two lines: numbers, and under them the curve over all labels."""
    lines = _head(cells) if found else []
    for one in found:
        lines.append(justify_line([(f" {one.name}", "text")], _numbers(one), cells))
        lines.append([(f" {draw_sparkline(one.values, cells - 2, one.top)}", "curve")])
    return lines


def short_lines(found: Sequence[DifficultyCurve], cells: int) -> list[Line]:
    """Each measure on one line."""
    lines = _head(cells) if found else []
    for one in found:
        name, numbers = f" {one.name:<8}", _numbers(one)
        blocks = draw_sparkline(one.values, cells - len(name) - line_width(numbers), one.top)
        lines.append([(name, "text"), (blocks, "curve"), *numbers])
    return lines


def _head(cells: int) -> list[Line]:
    """The name of it all, and over the numbers what they are."""
    heads: Line = [(f"last {WINDOW}   all ", "dim")]
    *lines, last = wrap_text(DIFFICULTY, cells - 2)
    if len(last) + 1 + line_width(heads) >= cells:
        lines, last = [*lines, last], ""
    title: list[Line] = [[(f" {line}", "title")] for line in lines]
    return [*title, justify_line([(f" {last}", "title")], heads, cells)]


def _numbers(curve: DifficultyCurve) -> Line:
    """The last labels, and all: what is seen now in front."""
    recent, overall = (
        f"{100 * value:.0f} %" if curve.rate else f"{value:.2f}".removeprefix("0")
        for value in (curve.recent, curve.overall)
    )
    return [(f"{recent:>6}", "text"), (f"{overall:>6} ", "dim")]
