"""The lower part of the sidebar: progress and pace, rare classes, shares, and the difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import format_done, format_duration, format_share
from annotator.log.prequential import WINDOW, PrequentialScores, windowed_mean
from annotator.tui.label.error_panel import (
    PoolErrorState,
    history_lines,
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

if TYPE_CHECKING:
    from annotator.session.mode import AuditMeter
    from annotator.session.progress import Progress

DIFFICULTY = "how hard your questions are"
USUAL = "half right is usual: they are chosen to be hard"


@dataclass(frozen=True, slots=True)
class DifficultyCurve:
    """A curve of one measure of difficulty."""

    name: str
    values: NDArray[np.float64]
    """The windowed means, one for each label."""
    recent: float
    overall: float
    rate: bool
    """True for a share, which is written in percent."""

    @property
    def top(self) -> float:
        """The value at full height: a round number above all values, so that it seldom changes."""
        highest = float(self.values.max())
        return next(top for top in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if highest <= top)


@dataclass(frozen=True, slots=True)
class PanelState:
    """The state of the panel."""

    progress: Progress | None = None
    per_minute: float | None = None
    curves: tuple[DifficultyCurve, ...] = ()
    honest: PoolErrorState = field(default_factory=PoolErrorState)
    hunt_key: str = ""
    """The key that hunts for a class."""
    notices: tuple[str, ...] = ()
    """The sentences that hold for the whole session."""
    meter: AuditMeter | None = None
    """The progress of the audit; None in other sessions."""
    tells_time: bool = False
    """True if the panel says how long the rest takes; else the panel above does."""


def difficulty_curves(difficulty: PrequentialScores) -> tuple[DifficultyCurve, ...]:
    """Return the curves of error rate and squared error; none before the first prediction."""
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
        """Show this state."""
        self._state = state
        self.update()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        """Return the lines of the panel."""
        return panel_lines(self._state, width, height)


class PanelSection(NamedTuple):
    """A part of the panel. Sections whose places share the tens stand without a gap."""

    place: int
    lines: list[Line]


def panel_lines(state: PanelState, cells: int, height: int) -> list[Line]:
    """Return the sections that have room, the most needed first, each in its largest form."""
    chosen: dict[int, list[Line]] = {}
    for section in _by_worth(state, cells):
        attempt = {**chosen, section.place: section.lines}
        if section.lines and len(_stacked(attempt)) <= height:
            chosen = attempt
    return _stacked(chosen)


def _by_worth(state: PanelState, cells: int) -> Iterator[PanelSection]:
    """Yield every section in each of its forms, the most needed first."""
    known, progress = state.honest, state.progress
    if progress is not None:
        yield PanelSection(
            0,
            progress_lines(
                progress, state.per_minute, cells, tells_time=state.tells_time, meter=state.meter
            ),
        )
    if state.meter is not None and state.meter.words:
        yield PanelSection(5, meter_lines(state.meter, cells))
    for place, notice in enumerate(state.notices):
        yield PanelSection(
            10 + place, [[(f" {line}", "text")] for line in wrap_text(notice, cells - 2)]
        )
    yield PanelSection(20, rare_lines(known, cells, state.hunt_key))
    yield PanelSection(30, share_lines(known, cells, 2))
    yield PanelSection(40, history_lines(known, cells, 2))
    yield PanelSection(50, short_lines(state.curves, cells))
    yield PanelSection(40, history_lines(known, cells, 4))
    yield PanelSection(30, share_lines(known, cells, 9))
    yield PanelSection(50, tall_lines(state.curves, cells))


def _stacked(sections: Mapping[int, list[Line]]) -> list[Line]:
    """Return the lines of the sections in their places, with gaps between groups."""
    lines: list[Line] = []
    before = None
    for place, section in sorted(sections.items()):
        if before is not None and place // 10 != before // 10:
            lines.append([])
        lines += section
        before = place
    return lines


def progress_lines(
    progress: Progress,
    per_minute: float | None,
    cells: int,
    *,
    tells_time: bool = True,
    meter: AuditMeter | None = None,
) -> list[Line]:
    """Return the lines of the progress, the pace, and the items set aside.

    A meter that knows how many answers are needed counts these, and not the items.
    """
    if meter is not None and meter.more is not None:
        progress = replace(progress, items=meter.asked + meter.more, remaining=meter.more)
    done = progress.items - progress.remaining
    share = done / progress.items if progress.items else 0.0
    of = f" of {progress.items:,}" if progress.items else " labelled"  # until the pool is listed
    counts: Line = [(f" {done if progress.items else progress.labelled:,}", "strong"), (of, "dim")]
    number: Line = [(f"{format_done(done, progress.items)} ", "dim")]
    lines = [
        justify_line(counts, number, cells),
        [(" ", "text"), *draw_bar(share, cells - 2), (" ", "text")],
    ]
    if per_minute:
        left = format_duration(progress.remaining / per_minute * 60)
        left = f" · {left} left" if progress.remaining and tells_time else ""
        lines.append([(f" {per_minute:.0f} a minute", "text"), (left, "dim")])
    aside = [
        f"{count:,} {word}"
        for count, word in (
            (progress.skipped, "skipped"),
            (progress.flagged, "flagged"),
            (progress.elsewhere, "leased"),
        )
        if count
    ]
    rows = [line.strip(" ·") for line in wrap_text(" · ".join(aside), cells - 2)]
    return lines + [[(f" {row}", "dim")] for row in rows if row]


def meter_lines(meter: AuditMeter, cells: int) -> list[Line]:
    """Return the bar of an audit, full once it certifies, with its words.

    The bar of a meter that counts answers stands above, with the counts.
    """
    words = wrap_text(meter.words, cells - 2)
    bar: Line = [(" ", "text"), *draw_bar(meter.share, cells - 2, "good"), (" ", "text")]
    bars = [bar] if meter.more is None else []
    return [*bars, *([(f" {line}", "text")] for line in words)]


def tall_lines(found: Sequence[DifficultyCurve], cells: int) -> list[Line]:
    """Return each measure on two lines: numbers, and under them the curve over all labels.

    The last lines say what is usual.
    """
    lines = _head(cells) if found else []
    for curve in found:
        lines.append(justify_line([(f" {curve.name}", "dim")], _numbers(curve), cells))
        lines.append([(f" {draw_sparkline(curve.values, cells - 2, curve.top)}", "dim")])
    usual = wrap_text(USUAL, cells - 2) if found else []
    return lines + [[(f" {line}", "dim")] for line in usual]


def short_lines(found: Sequence[DifficultyCurve], cells: int) -> list[Line]:
    """Return each measure on one line."""
    lines = _head(cells) if found else []
    for curve in found:
        name, numbers = f" {curve.name:<8}", _numbers(curve)
        blocks = draw_sparkline(curve.values, cells - len(name) - line_width(numbers), curve.top)
        lines.append([(name, "dim"), (blocks, "dim"), *numbers])
    return lines


def _head(cells: int) -> list[Line]:
    """Return the title, and the heads of the two columns of numbers."""
    heads: Line = [(f"last {WINDOW}   all ", "dim")]
    *lines, last = wrap_text(DIFFICULTY, cells - 2)
    if len(last) + 1 + line_width(heads) >= cells:
        lines, last = [*lines, last], ""
    title: list[Line] = [[(f" {line}", "dim")] for line in lines]
    return [*title, justify_line([(f" {last}", "dim")], heads, cells)]


def _numbers(curve: DifficultyCurve) -> Line:
    """Return the mean of the last labels, and of all."""
    recent, overall = (
        format_share(value, sign=" %") if curve.rate else f"{value:.2f}".removeprefix("0")
        for value in (curve.recent, curve.overall)
    )
    return [(f"{recent:>6}{overall:>6} ", "dim")]
