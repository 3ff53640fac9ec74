"""A page of pictures, each in a frame of text.

The pictures are one picture for the terminal, a `Sheet`; the frames are text in the cells that it
leaves free. A change of the selection writes the cells of a few frames, past the compositor, and
never touches the pictures.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.color import Color
from textual.message import Message
from textual.strip import Strip

from annotator.items.refs import Item
from annotator.terminal.backend import Colour, synchronize_update
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for
from annotator.terminal.pacing import Pacer
from annotator.terminal.sheet import (
    HEAD,
    LEAST_SPOT,
    SIDE,
    Sheet,
    SheetComposer,
    Spot,
    count_fitting,
    lay_out_grid,
    lay_out_strip,
)
from annotator.terminal.text_overlay import TextOverlay, TextRun
from annotator.terminal.xterm_js import page_backend
from annotator.tui.host import contrast_of
from annotator.tui.picture.picture import PictureView
from annotator.tui.picture.strips import centred_row, splice_runs

LEAST_HALF_CELLS = (16, 6)
"""Columns and rows of the smallest picture where a cell is two pixels."""
STRIP = 8
"""The strip on top takes one row in `STRIP`."""
LEFT, RIGHT = "▐", "▌"
DIM: Colour = (139, 147, 165)


class TileFrame(NamedTuple):
    """The frame of one tile."""

    tag: str
    typed: int = 0
    """The number of letters of the tag that were typed."""
    selected: bool = False
    cursor: bool = False
    sign: str = "✓"
    """The sign of a selected tile."""
    details: str = ""
    """The rest of the heading: the class given, a probability, a flag."""
    bad: bool = False
    """True if a selected tile is an exception."""


class Mosaic(PictureView):
    """A widget that shows one sheet. `change_frames` shows another selection on it."""

    keeps_zoom = False

    class AreaResized(Message):
        """The news that the widget has another size, so pages must be laid out anew."""

    def __init__(
        self,
        composer: SheetComposer,
        caps: TerminalCapabilities,
        line: Pacer | None,
        **options: Any,
    ) -> None:
        """Show the sheets that `composer` puts together; `line` is the pacer of the terminal."""
        inner = backend_for(caps)
        if caps.technique is Technique.CLASSIC:  # what it places lies over all text
            inner = page_backend(caps, lambda: _windows(self._sheet))
        self._lettered = TextOverlay(inner, self._letters, caps.sync and not caps.wrapped)
        super().__init__(composer, caps, backend=self._lettered, line=line, depth=2, **options)
        self.composer = composer
        self._sheet: Sheet | None = None
        self._looks: list[TileFrame] = []
        self._frames: list[list[TextRun]] = []
        self._laid: tuple[int, int] = (0, 0)
        self._waiting: Sheet | None = None
        """The variant that is shown after the one that is on its way."""
        self._standing: tuple[Sheet, float] | None = None
        """The first variant of the sheet that a key could mean, and when it came on the screen."""
        self._words = self._title = ""

    def on_mount(self) -> None:
        """Show the contrast that the annotator has chosen."""
        self.composer.contrast = contrast_of(self.app)
        self._view.contrast = self.composer.contrast

    # -- what the screen asks for ----------------------------------------------------------

    def lay_out(self, count: int, below: int = 0) -> tuple[Spot, ...]:
        """Return places for at most `count` pictures, as many as fit under `below` rows."""
        cell, (columns, rows) = self.cell, self.size
        rows -= below
        places = lay_out_grid(
            count_fitting(count, columns, rows, cell, self._least), columns, rows, cell, self._least
        )
        return tuple(spot._replace(row=spot.row + below) for spot in places)

    def strip(self, count: int) -> tuple[Spot, ...]:
        """Return places for small pictures on top of a page; none if the window has no room."""
        columns, rows = self.size.width, self.size.height // STRIP
        if rows - HEAD < self._least[1] or self.technique is Technique.NONE:
            return ()
        return lay_out_strip(count, columns, rows, self.cell)

    @property
    def _least(self) -> tuple[int, int]:
        return LEAST_HALF_CELLS if self.technique is Technique.HALFCELL else LEAST_SPOT

    def show_sheet(self, sheet: Sheet, looks: Sequence[TileFrame], title: str = "") -> None:
        """Show a sheet with a frame for each picture; `title` names the pictures on top."""
        self._words, self._title = "", title
        if sheet.is_variant_of(self._sheet):
            self._sheet = sheet
            self.change_frames(enumerate(looks))
            self._show_variant(sheet)
            return
        self._standing = self._waiting = None
        other = _windows(self._sheet) != _windows(sheet)
        before = [] if other else self._frames
        self._sheet, self._looks = sheet, list(looks)
        self._frames = [self._frame(i) for i in range(len(looks))]
        for place, (old, new) in enumerate(zip(before, self._frames, strict=False)):
            if _sided(old) and not _sided(new):
                new += self._bared(place)
        if other:
            self.refresh()  # frames of another layout, or a zoomed picture, lie under it
        self.show(sheet)

    def holds(self, item: Item) -> bool:
        """Return whether an item is the sheet, or a variant of it."""
        return self._sheet is not None and self._sheet.is_variant_of(item)

    def _show_variant(self, sheet: Sheet) -> None:
        """Show a sheet with other dots or blur, once the variant before it is on the screen."""
        shown = self._stage.state.shown
        if shown is None or shown.item == self._item:
            self.show(sheet)
        else:
            self._waiting = sheet

    def _may_keep(self, item: Item) -> bool:
        shown = self._stage.state.shown
        return shown is not None and isinstance(item, Sheet) and item.is_variant_of(shown.item)

    def accepts(self, item: Item) -> bool:
        """Return whether a key can be meant for an item; each variant of a sheet serves for all."""
        standing = self._standing
        if isinstance(item, Sheet) and standing is not None and item.is_variant_of(standing[0]):
            return self._admits(standing[1], drawn=True)
        return super().accepts(item)

    def _unseen(self) -> None:
        super()._unseen()
        self._standing = None

    def _follow(self) -> None:
        super()._follow()
        item, waiting = self._item, self._waiting
        written = self.written_at(item) if isinstance(item, Sheet) else None
        if not isinstance(item, Sheet) or written is None:
            return
        drawn = self._seen == item
        if self._standing is None and self.guard.admits(time.monotonic(), written, drawn=drawn):
            self._standing = item, written
        if waiting is not None:
            self._waiting = None
            self.show(waiting)

    def on_strip(self, y: float) -> bool:
        """Return whether a row of the screen holds the pictures on top of the page."""
        aside = self._sheet.reference_tiles if self._sheet is not None else ()
        return bool(aside) and 0 <= y - self.content_region.y < HEAD + aside[0][1].rows

    def show_alone(self, item: Any) -> None:
        """Show one item's picture in place of the page."""
        self._sheet, self._frames, self._words = None, [], ""
        self._standing = self._waiting = None
        self.refresh()
        self.show(item)

    def show_text(self, text: str) -> None:
        """Show words in place of a page."""
        self._sheet, self._frames, self._words = None, [], text
        self._standing = self._waiting = None
        self.clear()

    def change_frames(self, looks: Iterable[tuple[int, TileFrame]]) -> None:
        """Change the frames of some tiles, with a few bytes to the terminal."""
        runs: list[TextRun] = []
        for place, look in looks:
            before, old = self._looks[place], self._frames[place]
            self._looks[place] = look
            self._frames[place] = self._frame(place)
            if _sided(old) and not _sided(self._frames[place]):
                self._frames[place] += self._bared(place)
            if look != before:  # a letter that is typed changes tags, and leaves the sides
                standing = set(old)
                runs += [run for run in self._frames[place] if run not in standing]
        if runs and self._sheet is not None and not self._stage.covered:
            area = self._stage.area
            self._write(
                synchronize_update(
                    self._lettered.written(runs, area), self._caps.sync and not self._caps.wrapped
                )
            )

    def tile_at(self, x: float, y: float) -> tuple[int, float, float] | None:
        """Return the tile at a point of the screen in cells, and the point in its picture, 0 to 1.

        On the frame of a picture it is the nearest point in the picture.
        """
        if self._sheet is None:
            return None
        x, y = x - self.content_region.x, y - self.content_region.y
        for place, spot in enumerate(self._sheet.spots):
            across, down = x - spot.column + SIDE, y - spot.row + HEAD
            if 0 <= across < spot.columns + 2 * SIDE and 0 <= down < spot.rows + HEAD:
                return place, *self._within(place, spot, x, y)
        return None

    def picture_at(self, place: int) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a tile's picture in cells of the widget."""
        assert self._sheet is not None
        spot = self._sheet.spots[place]
        placed = self.composer.placements.get(self._sheet.items[place])
        left, top, width, height = placed.part if placed else (0.0, 0.0, 1.0, 1.0)
        return (
            spot.column + left * spot.columns,
            spot.row + top * spot.rows,
            width * spot.columns,
            height * spot.rows,
        )

    def _within(self, place: int, spot: Spot, x: float, y: float) -> tuple[float, float]:
        left, top, width, height = self.picture_at(place)
        right, down = (x - left) / width, (y - top) / height
        return min(1.0, max(0.0, right)), min(1.0, max(0.0, down))

    # -- frames ----------------------------------------------------------------------------

    def _letters(self, first: int, stop: int) -> list[TextRun]:
        frames = [*self._frames, self._heading()]
        return [run for frame in frames for run in frame if first <= run.row < stop]

    def _heading(self) -> list[TextRun]:
        """Return the text above the strip."""
        if self._sheet is None or not self._sheet.reference_tiles:
            return []
        text = set_cell_size(_narrow(self._title), self.size.width - 2 * SIDE)
        return [TextRun(0, SIDE, text, DIM, self._backend.background)]

    def _frame(self, place: int) -> list[TextRun]:
        """Return the heading of a tile, and its sides if it is selected or under the cursor."""
        assert self._sheet is not None
        spot, look = self._sheet.spots[place], self._looks[place]
        ink = self._ink(look)
        column, width = spot.column - SIDE, spot.columns + 2 * SIDE
        row = spot.row - HEAD
        head = _head(look, width)
        runs = [TextRun(row, column, head, *ink.head)]
        if ink.side is not None:
            for y in range(spot.row, spot.row + spot.rows):
                runs.append(TextRun(y, column, LEFT, ink.side, ink.ground))
                runs.append(TextRun(y, column + width - 1, RIGHT, ink.side, ink.ground))
        return runs

    def _bared(self, place: int) -> list[TextRun]:
        """Return the sides of a tile without text: the picture's own cells come back."""
        assert self._sheet is not None
        spot, ground = self._sheet.spots[place], self._backend.background
        ends = spot.column - SIDE, spot.column + spot.columns
        rows = range(spot.row, spot.row + spot.rows)
        return [TextRun(row, column, " ", ground, ground, True) for row in rows for column in ends]

    def _ink(self, look: TileFrame) -> FrameColours:
        theme = self.app.theme_variables
        ground = self._backend.background

        def colour(name: str) -> Colour:
            return Color.parse(theme[name]).rgb

        text = colour("foreground")
        mark = colour("error" if look.bad else "success")
        if look.selected:
            return FrameColours((ground, mark), text if look.cursor else mark, ground)
        if look.cursor:
            return FrameColours((ground, text), text, ground)
        return FrameColours((DIM, ground), None, ground)

    # -- for the compositor ----------------------------------------------------------------

    def _place(self) -> None:
        super()._place()
        if self.is_mounted and self.size != self._laid and all(self.size):
            self._laid = self.size
            self.post_message(self.AreaResized())

    def render_line(self, y: int) -> Strip:
        """Return one row of the widget."""
        if self._words:
            return centred_row(self._words, y, self.size, self.rich_style)
        return splice_runs(
            super().render_line(y), [r for r in self._letters(y, y + 1) if not r.bare]
        )


class FrameColours(NamedTuple):
    """The colours of a frame."""

    head: tuple[Colour, Colour]
    side: Colour | None
    ground: Colour


def _sided(frame: list[TextRun]) -> bool:
    """Return whether there is text on the sides."""
    return any(not run.bare for run in frame[1:])


def _head(look: TileFrame, width: int) -> str:
    """Return `ab ✓ daisy 93 %`, cut to the width."""
    sign = (look.sign if look.selected else "") + ("›" if look.cursor else "")
    tag = look.tag[: look.typed].upper() + look.tag[look.typed :]
    return set_cell_size(_narrow(f"{sign or ' '}{tag} {look.details}"), width)


def _narrow(text: str) -> str:
    """Return the text in characters of one cell each."""
    if cell_len(text) == len(text):
        return text
    return "".join(c if cell_len(c) == 1 else "?" for c in text)


def _windows(sheet: Sheet | None) -> tuple[Spot, ...]:
    """Return the places of the pictures."""
    return () if sheet is None else (*sheet.spots, *(spot for _, spot in sheet.reference_tiles))


HOME = "fjdkslagh"
"""The home row, strongest fingers first."""
ALL = HOME + "rueiwoqptyvmcnxbz"


def make_tags(count: int) -> list[str]:
    """Return a tag for each of `count` tiles; none is the beginning of another.

    One letter each while the alphabet lasts, then two letters of the home row, or of all.
    """
    if count <= len(ALL):
        return sorted(ALL[:count], key=_by_place)
    letters = HOME if count <= len(HOME) ** 2 else ALL
    pairs = ["".join(pair) for pair in product(letters, letters)]
    return pairs[:count]


def _by_place(letter: str) -> int:
    """Return the place on the keyboard: neighbours on the page are neighbours there."""
    return "qwertyuiopasdfghjklzxcvbnm".index(letter)
