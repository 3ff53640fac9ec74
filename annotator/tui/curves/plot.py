"""Charts of braille dots, on axes with round numbers: functions without widgets or state.

Signs and dashes tell the curves apart, and a stipple marks a band: colour only repeats what can be
read without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.tui.styled_text import Line, Span, justify_line, line_width, wrap_text

Values = NDArray[np.float64]

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of a cell's 4 x 2 dots in Unicode's braille patterns."""
LEVEL = "╌"
BAND = "⢐"
_MARK_EVERY = 24
"""Cells between the signs on a curve."""


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: y over a growing x, both (n,)."""

    name: str
    x: Values
    y: Values
    mark: str = "●"
    """The sign on the curve; "" for none."""
    role: str = "best"
    dashed: bool = False
    low: Values | None = None
    high: Values | None = None
    """The upper end of a band around the curve, as `low` is the lower one."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of curves over the same x, with both axes from 0."""

    title: str
    series: tuple[Series, ...]
    across: str = "labels"
    percent: bool = False
    """True if y is a share, which is written in percent."""
    level: float | None = None
    """A line across, such as a target."""
    level_name: str = ""
    band_name: str = ""
    note: str = ""
    """A sentence under the title."""
    empty: str = "nothing to draw yet"
    """The sentence in place of the curves while there is no point."""

    @property
    def top(self) -> float:
        """The largest y that must fit."""
        highest = [
            float(np.nanmax(line.y if line.high is None else line.high)) for line in self.drawn
        ]
        return max([*highest, (self.level or 0.0) * 1.2, 1e-3])

    @property
    def drawn(self) -> list[Series]:
        """The curves that have points."""
        return [line for line in self.series if len(line.x)]

    @property
    def right(self) -> float:
        """The largest x."""
        return max(float(line.x[-1]) for line in self.drawn)


def axis_ticks(top: float, most: int, least: float = 0.0) -> list[float]:
    """Return 0 and at most `most` round numbers above it, the last at `top` or beyond.

    The step is 1, 2 or 5 times a power of ten, and not below `least`.
    """
    rough = max(top / max(most, 1), least, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough) + 1e-9)
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def chart_lines(chart: Chart, cells: int, height: int) -> list[Line]:
    """Return the whole chart on `height` lines: title, note, names, curves and axes."""
    head = _head(chart, cells, height)
    if not chart.drawn:
        words = [[(f"  {line}", "dim")] for line in wrap_text(chart.empty, cells - 4)]
        return _filled([*head, [], *words], height)
    rows = max(1, height - len(head) - 2)
    ys = axis_ticks(min(chart.top, 1.0) if chart.percent else chart.top, max(1, rows // 3))
    labels = [_written(y, ys, percent=chart.percent) for y in ys]
    left = max(map(len, labels)) + 1
    room = max(4, cells - left - 2)
    xs = axis_ticks(chart.right, max(1, room // 10), 1.0)
    area = plot_curves(chart, room, rows, xs[-1], ys[-1])
    ticks = {_row(y, ys[-1], rows): label for y, label in zip(ys, labels, strict=True)}
    lines = [[*_y_axis(ticks.get(y, ""), left), *line] for y, line in enumerate(area)]
    return _filled([*head, *lines, *_x_axis(xs, chart.across, left, room)], height)


def _filled(lines: Sequence[Line], height: int) -> list[Line]:
    return [*lines, *([] for _ in range(height - len(lines)))][:height]


def _head(chart: Chart, cells: int, height: int) -> list[Line]:
    """Return title and names, on one line if both fit; the note only if there is room."""
    names = _names(chart)
    title: Line = [(f" {chart.title}", "title")]
    if line_width(title) + sum(line_width(name) + 2 for name in names) < cells:
        lines = [justify_line(title, [span for name in names for span in name], cells)]
    else:
        lines = [title, *_flowed(names, cells)]
    if chart.note and height >= 14:
        lines += [[(f" {line}", "dim")] for line in wrap_text(chart.note, cells - 2)]
    return lines


def _names(chart: Chart) -> list[Line]:
    """Return the legend: a sign and a name for each curve, band and level."""
    names: list[Line] = []
    for line in chart.drawn:
        stroke = "⠄⠄" if line.dashed else "⠤⠤"
        names.append([(f" {stroke}", line.role), (line.mark, "strong"), (f" {line.name} ", "text")])
    if chart.drawn and chart.band_name:
        names.append([(f" {BAND * 2} ", "curve"), (f"{chart.band_name} ", "text")])
    if chart.level is not None:
        names.append([(f" {LEVEL * 2} ", "good"), (f"{chart.level_name} ", "text")])
    return names


def _flowed(names: Sequence[Line], cells: int) -> list[Line]:
    """Wrap the legend into as few lines as it needs."""
    lines: list[Line] = []
    for name in names:
        if lines and line_width(lines[-1]) + line_width(name) <= cells:
            lines[-1] = [*lines[-1], *name]
        else:
            lines.append(list(name))
    return lines


def _y_axis(label: str, cells: int) -> Line:
    return [(f"{label:>{cells}}", "dim"), ("┤" if label else "│", "track")]


def _x_axis(xs: Sequence[float], across: str, left: int, cells: int) -> list[Line]:
    line, text = ["─"] * cells, [" "] * (left + cells + 2)
    for x in xs:
        column = min(cells - 1, round(x / xs[-1] * (cells - 1)))
        label = f"{x:,.0f}"
        line[column] = "┬"
        start = min(left + 1 + column - len(label) // 2, left + cells + 1 - len(label))
        text[start : start + len(label)] = label
    words = "".join(text).rstrip()
    corner: Line = [(" " * left, "dim"), ("└", "track"), ("".join(line), "track")]
    return [corner, [(_named(words, across), "dim")]]


def _named(numbers: str, across: str) -> str:
    """Put the name of the axis into the last gap between the numbers that is wide enough."""
    gaps = [found.span() for found in re.finditer(f" {{{len(across) + 2},}}", numbers)]
    if not gaps:
        return numbers
    place = (sum(gaps[-1]) - len(across)) // 2
    return numbers[:place] + across + numbers[place + len(across) :]


def _written(value: float, ticks: Sequence[float], *, percent: bool) -> str:
    step = (ticks[1] if len(ticks) > 1 else 1.0) * (100 if percent else 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{100 * value:.{digits}f} %" if percent else f"{value:,.{digits}f}"


def _row(y: float, top: float, rows: int) -> int:
    """Return the row of cells of a value."""
    return int(_dot(y, top, rows)) // 4


def _dot(y: float | Values, top: float, rows: int) -> Values:
    """Return the row of dots of a value, from above."""
    return np.round((1 - np.clip(np.asarray(y) / top, 0, 1)) * (4 * rows - 1))


def plot_curves(chart: Chart, cells: int, rows: int, right: float, top: float) -> list[Line]:
    """Draw the curves alone on `rows` lines of `cells` cells; `right` and `top` end the axes."""
    area = _Area(cells, rows, right, top)
    for series in chart.drawn:
        area.band(series)
    if chart.level is not None and chart.level <= top:
        area.level(chart.level)
    for series in chart.drawn:
        area.curve(series)
    for place, series in enumerate(line for line in chart.drawn if line.mark):
        area.marks(series, place)
    return area.lines()


class _Area:
    """A grid of cells to draw on: later marks cover earlier ones, and curves share a cell."""

    def __init__(self, cells: int, rows: int, right: float, top: float) -> None:
        self.cells, self.rows, self.right, self.top = cells, rows, right, top
        self.bits = np.zeros((rows, cells), int)
        self.signs = np.full((rows, cells), " ", dtype="<U1")
        self.roles = np.full((rows, cells), "text", dtype="<U8")
        self.curved = np.zeros((rows, cells), bool)
        self.x = (np.arange(2 * cells) + 0.5) / (2 * cells) * right

    def _at(self, series: Series, y: Values) -> Values:
        """Return y at each column of dots; NaN outside the series."""
        return np.interp(self.x, series.x, y, left=np.nan, right=np.nan)

    def band(self, series: Series) -> None:
        if series.low is None or series.high is None:
            return
        low, high = (
            _dot(self._at(series, end), self.top, self.rows) for end in (series.low, series.high)
        )
        down, across = np.mgrid[0 : 4 * self.rows, 0 : 2 * self.cells]
        stipple = (down % 2 == 1) & ((across + down // 2) % 2 == 0)
        inside = (down >= high) & (down <= low) & stipple
        self._put(_packed(inside), "curve")

    def level(self, y: float) -> None:
        row = _row(y, self.top, self.rows)
        self.signs[row], self.roles[row], self.bits[row] = LEVEL, "good", 0

    def curve(self, series: Series) -> None:
        dots = np.zeros((4 * self.rows, 2 * self.cells), bool)
        before = None
        for column, row in enumerate(_dot(self._at(series, series.y), self.top, self.rows)):
            if np.isnan(row):
                continue
            if not series.dashed or column // 3 % 2 == 0:
                start, stop = sorted((int(row), int(row if before is None else before)))
                dots[start : stop + 1, column] = True
            before = row
        self._put(_packed(dots), series.role, curve=True)

    def marks(self, series: Series, place: int) -> None:
        """Draw the sign of a curve at its end, and at some places before."""
        end = min(self.cells - 1, int(series.x[-1] / self.right * self.cells))
        first = int(series.x[0] / self.right * self.cells)
        way = range(_MARK_EVERY // 2 + 5 * place, end - 5, _MARK_EVERY)
        for column in (end, *(column for column in way if column > first)):
            x = min((column + 0.5) / self.cells * self.right, float(series.x[-1]))
            row = _row(float(np.interp(x, series.x, series.y)), self.top, self.rows)
            self.signs[row, column], self.bits[row, column] = series.mark, 0
            self.roles[row, column] = "strong"

    def _put(self, bits: NDArray[np.int64], role: str, *, curve: bool = False) -> None:
        hit = bits > 0
        # A curve takes a cell from a band or a level; two curves share it.
        self.bits[hit] = np.where(self.curved, self.bits | bits, bits)[hit]
        self.signs[hit], self.roles[hit] = " ", role
        self.curved |= hit & curve

    def lines(self) -> list[Line]:
        braille = np.array([chr(0x2800 + bits) for bits in self.bits.ravel()])
        signs = np.where(self.bits > 0, braille.reshape(self.bits.shape), self.signs)
        return [_joined(*pair) for pair in zip(signs, self.roles, strict=True)]


def _packed(dots: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pack (4h, 2w) dots into (h, w) sums of the bits of each cell."""
    height, wide = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(height, 4, wide, 2).transpose(0, 2, 1, 3)
    return np.asarray((cells * _DOTS).sum(axis=(2, 3)))


def _joined(signs: NDArray[np.str_], roles: NDArray[np.str_]) -> Line:
    """Join neighbours of the same role into one span."""
    line: list[Span] = []
    for sign, role in zip(signs.tolist(), roles.tolist(), strict=True):
        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + sign, role)
        else:
            line.append((sign, role))
    return line
