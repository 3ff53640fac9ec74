"""Progress and pace, the estimated error, and how hard the items were that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.difficulty import WINDOW, Difficulty, windowed
from annotator.learn.honest import ErrorEstimate
from annotator.session import Progress
from annotator.tui.pace import duration
from annotator.tui.text import Line, bar, curve, percent, spread, wrapped
from annotator.tui.widgets.lines import Lines

DIFFICULTY = "difficulty of what you are shown"
ESTIMATED = "estimated error, whole pool"


@dataclass(frozen=True, slots=True)
class Curve:
    """One measure of difficulty."""

    name: str
    values: NDArray[np.float64]
    """Windowed, one for each label."""
    recent: float
    overall: float
    top: float
    """The value at full height."""


@dataclass(frozen=True, slots=True)
class PanelState:
    """What the panel shows."""

    progress: Progress | None = None
    per_minute: float | None = None
    curves: tuple[Curve, ...] = ()
    estimate: ErrorEstimate | None = None
    notices: tuple[str, ...] = field(default=())


def curves(difficulty: Difficulty) -> tuple[Curve, ...]:
    """Error rate and squared error so far; nothing before the first predicted label."""
    if not len(difficulty):
        return ()
    return (
        _curve("wrong", difficulty.wrong, 1.0),
        _curve("sq. error", difficulty.squared, 0.5),
    )


def _curve(name: str, values: NDArray[np.float64], top: float) -> Curve:
    recent = windowed(values)
    return Curve(name, recent, float(recent[-1]), float(values.mean()), top)


class Panel(Lines):
    """The lower part of the sidebar."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._state = PanelState()

    def show(self, state: PanelState) -> None:
        self._state = state
        self.update()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        return panel_lines(self._state, width, height)


def panel_lines(state: PanelState, cells: int, height: int) -> list[Line]:
    """As many sections as there is room for, the first ones first."""
    sections = [
        progress_lines(state.progress, state.per_minute, cells) if state.progress else [],
        estimate_lines(state.estimate, cells),
        difficulty_lines(state.curves, cells),
    ]
    lines: list[Line] = []
    for section in filter(None, sections):
        gap: list[Line] = [[]] if lines else []
        if len(lines) + len(gap) + len(section) <= height:
            lines += gap + section
    return lines


def progress_lines(progress: Progress, per_minute: float | None, cells: int) -> list[Line]:
    """Labelled of all, pace, and what is set aside."""
    done = progress.items - progress.remaining
    share = done / progress.items if progress.items else 0.0
    counts: Line = [(f" {progress.labelled:,}", "strong"), (f" of {progress.items:,}", "dim")]
    # Rounded down: 100 % is for when all is done.
    number: Line = [(f"{int(1000 * share) / 10:.1f} % ", "dim")]
    lines = [
        spread(counts, number, cells),
        [(" ", "text"), *bar(share, cells - 2), (" ", "text")],
    ]
    if per_minute:
        left = f" · {duration(progress.remaining / per_minute * 60)} left"
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
    return lines + [[(f" {line}", "dim")] for line in wrapped(" · ".join(aside), cells - 2) if line]


def estimate_lines(estimate: ErrorEstimate | None, cells: int) -> list[Line]:
    """The honest estimate with its interval, from the labels drawn at random."""
    if estimate is None or not estimate.shown:
        return []
    interval = f" 90 %: {100 * estimate.low:.1f} – {100 * estimate.high:.1f} %"
    return [
        *([(f" {line}", "title")] for line in wrapped(ESTIMATED, cells - 2)),
        spread(
            [(f" {percent(estimate.error)}", "strong"), (interval, "text")],
            [(f"n {estimate.n_eff:.0f} ", "dim")],
            cells,
        ),
    ]


def difficulty_lines(found: Sequence[Curve], cells: int) -> list[Line]:
    """A curve each for errors and squared errors; the last labels and all of them in numbers."""
    if not found:
        return []
    *first, last = wrapped(DIFFICULTY, cells - 2)
    heads: Line = [(f"{f'last {WINDOW}':>8}{'all':>6} ", "dim")]
    title = [[(f" {line}", "title")] for line in first]
    title.append(spread([(f" {last}", "title")], heads, cells))
    return [*title, *(_curve_line(one, cells) for one in found)]


def _curve_line(one: Curve, cells: int) -> Line:
    name = f" {one.name} "
    numbers = f"{_number(one, one.recent):>6}{_number(one, one.overall):>6} "
    blocks = curve(one.values, cells - len(name) - len(numbers), one.top)
    return [(name, "text"), (blocks, "curve"), (numbers, "text")]


def _number(one: Curve, value: float) -> str:
    return f"{100 * value:.0f} %" if one.top == 1.0 else f"{value:.2f}".removeprefix("0")
