"""Cells and words as Textual wants the lines of a widget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from textwrap import wrap

from rich.color import Color
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.dom import DOMNode
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from annotator.terminal.backend import Cell, Colour
from annotator.terminal.kitty import MARKS, PLACEHOLDER
from annotator.terminal.text_overlay import TextRun

_CELLS = re.compile(f"[^{''.join(MARKS)}][{''.join(MARKS)}]*", re.DOTALL)
"""One narrow cell: a character, and the marks that say where in a picture it belongs."""


class PlaceholderStrip(Strip):
    """A strip that may hold placeholders, and is cut between their cells.

    Rich cuts a text where so many columns are before: that is before a character's marks, too. They
    would lie on the border of a dialog, and their cell would not know its place in the picture.
    """

    def crop(self, start: int, end: int | None = None) -> Strip:
        """Return the cells from `start` to `end`."""
        start, end = max(0, start), min(self.cell_length, self.cell_length if end is None else end)
        if (start, end) == (0, self.cell_length):
            return self
        return PlaceholderStrip(_between(self, start, end), max(0, end - start))

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the parts between the cuts."""
        places = [0, *(cut for cut in cuts if cut <= self.cell_length)]
        return [self.crop(start, end) for start, end in pairwise(places)]


def _between(strip: Strip, start: int, end: int) -> Iterator[Segment]:
    place = 0
    for segment in strip:
        first, last = max(0, start - place), end - place
        if PLACEHOLDER in segment.text:
            cells = _CELLS.findall(segment.text)
            width, text = len(cells), "".join(cells[first : max(0, last)])
            yield from [Segment(text, segment.style)] if text else []
        else:
            width = segment.cell_length
            yield from Strip([segment], width).crop(first, min(width, max(first, last)))
        place += width


def cells_to_segments(cells: Sequence[Cell]) -> list[Segment]:
    """Return cells as segments, neighbours of one colour together."""
    segments: list[Segment] = []
    text, colours = "", cells[0][1:] if cells else (None, None)
    for cell in cells:
        if cell[1:] != colours:
            segments.append(Segment(text, _style(*colours)))
            text, colours = "", cell[1:]
        text += cell.text
    segments.append(Segment(text, _style(*colours)))
    return segments


def _style(foreground: Colour | None, background: Colour | None) -> Style:
    return Style(
        color=Color.from_rgb(*foreground) if foreground else None,
        bgcolor=Color.from_rgb(*background) if background else None,
    )


def centred_row(text: str, row: int, size: Size, style: Style) -> Strip:
    """Return one row of a widget with `text` in its middle."""
    room = max(1, size.width - 4)
    lines = [part for line in text.splitlines() for part in wrap(line, room)]
    place = row - (size.height - len(lines)) // 2
    shown = lines[place] if 0 <= place < len(lines) else ""
    return Strip([Segment(shown.center(size.width), style)]).adjust_cell_length(size.width)


def splice_runs(strip: Strip, runs: Sequence[TextRun]) -> Strip:
    """Return `strip`, of narrow cells, with `runs` in place of the cells that they cover.

    Not by `Strip.crop`: where it cuts between placeholders it may leave marks without their cell.
    """
    if not runs:
        return strip
    cells = [(text, part.style) for part in strip for text in _CELLS.findall(part.text)]
    for run in runs:
        style = _style(run.foreground, run.background)
        cells[run.column : run.column + len(run.text)] = [(text, style) for text in run.text]
    groups = groupby(cells, key=lambda cell: cell[1])
    return Strip([Segment("".join(text for text, _ in group), style) for style, group in groups])


def render_uncached(widget: Widget, crop: Region) -> list[Strip]:
    """Return the rows of a region of a widget with pictures.

    Past the caches, for pictures change behind the compositor's back, and past all filters and
    tints: the colour of a placeholder is the name of its image.
    """
    style, width = widget.rich_style, widget.size.width
    lines = (widget.render_line(y).apply_style(style) for y in crop.line_range)
    return [PlaceholderStrip(line, width).crop(crop.x, crop.right) for line in lines]


def is_overlaid(widget: Widget) -> bool:
    """Return whether another screen or widget lies over this one, or part of it is cut off."""
    screen, region = widget.screen, widget.content_region
    if not screen.is_active:
        return True
    shown = screen._compositor.visible_widgets
    if widget in shown and shown[widget][1].intersection(region) != region:
        return True
    family = {widget, *widget.ancestors, *widget.walk_children()}
    return any(
        other not in family and other.visible and place.intersection(clip).overlaps(region)
        for other, (place, clip) in shown.items()
    )


def call_after_path(path: Sequence[DOMNode], callback: Callable[[], object]) -> None:
    """Call back after everything that is on the way along `path`, as keys are when they bubble."""
    if not path:
        callback()
        return
    path[0].call_later(call_after_path, path[1:], callback)


class TightUpdate(ChopsUpdate):
    """A compositor's update in which each span starts at its own first cell."""

    def render_segments(self, console: Console) -> str:
        """Return the text that writes the spans."""
        written = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                first, last = max(x, x1), min(end, x2)
                if strip is not None and first < last:
                    written.append(Control.move_to(first, y).segment.text)
                    written.append(strip.crop(first - x, last - x).render(console))
        return "".join(written)


class TightCompositor(Compositor):
    """A screen's compositor; put it in the place of `Screen._compositor` before it is mounted."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return the update of what has changed; None if nothing has."""
        update = super().render_partial_update()
        if update is None:
            return None
        return TightUpdate(update.chops, update.spans, update.chop_ends)
