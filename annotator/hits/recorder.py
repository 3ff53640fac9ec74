"""The recorder of what happens on a page.

An event is a JSON list: its name, the time in milliseconds since the epoch, and its arguments
in the order of the recorder's method, `i` being the image's place on the page, from 0.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from annotator.errors import StoreError
from annotator.log.store.protocol import Byproduct, ByproductStore

MOVES_HZ = 60
"""Maximum number of pointer positions kept per second on one image."""
FLUSH_MS = 1000
"""The time that an event other than a selection may wait to be written."""
NOMINAL_CELL = (8, 16)
"""Pixels of a character cell if the terminal does not say."""
PAGE, EVENTS = "page", "events"


@dataclass(frozen=True, slots=True)
class TerminalWindow:
    """The window that the page is shown in."""

    columns: int
    rows: int
    cell: tuple[float, float] | None = None
    """Width and height of a character cell in pixels; None if the terminal does not say."""
    pointer: str = "cell"
    """The unit of pointer positions: "cell", or "pixel" (SGR-pixel mode, DECSET 1016)."""
    technique: str = ""
    """The way that pictures are drawn: kitty, sixel, iterm, halfcell, none."""

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of a cell in pixels, nominal where unknown."""
        return self.cell or NOMINAL_CELL


class PageTile(NamedTuple):
    """One image on the page and where it is drawn."""

    image: str
    """imageID: the ref, or the image's id in a HIT."""
    ref: str
    original: tuple[int, int] = (0, 0)
    """Pixels of the upright source (of the crop, for a box); (0, 0) until it is decoded."""
    place: tuple[float, float, float, float] = (0, 0, 0, 0)
    """Left, top, width, height of the displayed image in cells, from the window's corner if the
    page were not scrolled."""


@dataclass(frozen=True, slots=True)
class PageShown:
    """The data of a page, recorded when it comes on the screen."""

    started_at: int
    """Milliseconds since the epoch."""
    pageno: int = 1
    question: str = ""
    """The class that is asked for."""
    semantics: str = ""
    """The meaning of a selection: positives, exceptions or positives-only."""
    order: str = ""
    """The order of the images: random, likely …"""
    prediction_shown: bool = False
    """True if the annotator saw the model's predictions."""
    id: str = ""
    """The page's id, which is also in the log; "" for a new one."""


class NoByproducts:
    """A `ByproductStore` that keeps nothing."""

    def append_byproducts(self, *rows: Byproduct) -> None:
        """Drop the rows."""

    def read_byproducts(
        self, kind: str | None = None, page: str | None = None
    ) -> Iterator[Byproduct]:
        """Return an empty iterator."""
        return iter(())


class Recorder:
    """A recorder of what happens on pages, one page at a time.

    Times are milliseconds since the epoch; x and y lie in [0, 1] of the displayed image. Every
    method may be called at the pointer's own rate: events are written about once a second, and
    at once for a selection, a deselection and a submission. A write that fails is tried again
    with the next; `fault` holds the reason, and nothing raises.
    """

    def __init__(
        self,
        records: ByproductStore,
        worker: str,
        *,
        version: str = "NO_POINTER_ORIGINAL",
        annotation: str = "",
    ) -> None:
        """Record pages of `worker`, whose name is written as it is: see `worker_id`.

        `version` is the interface: POINTER or NO_POINTER, then ORIGINAL or NO_ORIGINAL.
        `annotation` is the id of the assignment that the pages belong to; "" for browsing.
        """
        self.worker, self.version, self.annotation, self.fault = worker, version, annotation, ""
        self.page = ""
        """The id of the page on screen; "" while there is none."""
        self._records = records
        self._rows: list[Byproduct] = []
        self._events: list[list[Any]] = []
        self._moved: dict[int, float] = {}
        self._selected: set[int] = set()
        self._left: dict[str, tuple[set[int], set[int]]] = {}
        self._holds = False
        self.begun_at = 0
        """The time when the page on screen came up, in this session."""
        self.viewed: set[int] = set()
        """The images of this page that were in the window."""
        self.visited: set[int] = set()
        """The images of this page that the pointer or the cursor was on."""

    # --- pages

    def resume_page(self, page: str, selected: Iterable[int], visited: Iterable[int] = ()) -> None:
        """Prepare to resume a page that was begun before, as soon as it is shown.

        Its images `selected` are selected, and those `visited` were visited (by pointer, cursor or
        view).
        """
        self._left[page] = (set(selected), set(visited))

    def page_shown(
        self, page: PageShown, tiles: Sequence[PageTile], terminal: TerminalWindow
    ) -> str:
        """Begin a page, or resume one (see `resume_page`); return its id."""
        left = self._left.pop(page.id, None)
        if left is not None:
            self._begin(page.id, page.started_at)
            self._selected, self.viewed, self.visited = left[0], set(left[1]), set(left[1])
            self._later("resume", page.started_at)
            self._now("resize", page.started_at, asdict(terminal), [_tile(tile) for tile in tiles])
            return self.page
        self._begin(page.id or uuid.uuid4().hex, page.started_at)
        data = {
            **{key: value for key, value in asdict(page).items() if key != "id"},
            "worker": self.worker,
            "version": self.version,
            "annotation": self.annotation,
            "tiles": [_tile(tile) for tile in tiles],
            "terminal": asdict(terminal),
        }
        self._rows.append(Byproduct(page.started_at, PAGE, self.page, data))
        self._write()
        return self.page

    def reopen(self, page: str, time_ms: int) -> None:
        """Record that a submission is taken back; call `resume_page` next, and show the page."""
        self._begin(page, time_ms)
        self._now("reopen", time_ms)
        self.page = ""

    def submit(self, time_ms: int) -> None:
        """Record that the page is answered; intervals that are open end here."""
        self._now("submit", time_ms)
        self.page = ""

    def tick(self, time_ms: int) -> None:
        """Write what has waited for long enough; call about once a second."""
        if self._rows or (self._events and time_ms - self._events[0][1] >= FLUSH_MS):
            self._write()

    def flush(self) -> None:
        """Write all that waits."""
        self._write()

    # --- the pointer

    def enter(self, i: int, time_ms: int) -> None:
        """Record that the pointer came to image i."""
        self.visited.add(i)
        self._later("enter", time_ms, i)

    def leave(self, i: int, time_ms: int) -> None:
        """Record that the pointer left image i."""
        self._later("leave", time_ms, i)

    def move(self, i: int, x: float, y: float, time_ms: int) -> None:
        """Record the pointer at (x, y) of image i.

        At most 60 positions a second are kept (the first of each 60th counts), and none while the
        image is selected.
        """
        if i in self._selected or time_ms - self._moved.get(i, -1e18) < 1000 / MOVES_HZ:
            return
        self._moved[i] = time_ms
        self._later("move", time_ms, i, round(x, 4), round(y, 4))

    # --- answers

    def select(self, i: int, x: float | None, y: float | None, time_ms: int, by: str) -> None:
        """Record that image i is selected.

        `by` is "mouse", at (x, y), or "key", "letter", "range" …, with x and y None.
        """
        self._selected.add(i)
        self._now("select", time_ms, i, _rounded(x), _rounded(y), by)

    def deselect(self, i: int, time_ms: int, by: str) -> None:
        """Record that image i is not selected any more."""
        self._selected.discard(i)
        self._now("deselect", time_ms, i, by)

    # --- the rest

    def cursor(self, i: int, time_ms: int) -> None:
        """Record that the keyboard's cursor came to image i."""
        self.visited.add(i)
        self._later("cursor", time_ms, i)

    def key(self, name: str, time_ms: int) -> None:
        """Record a key press."""
        self._later("key", time_ms, name)

    def focus(self, on: bool, time_ms: int) -> None:
        """Record that the terminal's window got or lost the focus."""
        self._later("focus", time_ms, on)

    def scroll(self, first: int, end: int, time_ms: int) -> None:
        """Record that images `first` … `end` - 1 are in the window now, the first view included."""
        self.viewed.update(range(first, end))
        self._later("scroll", time_ms, first, end)

    def zoom(self, i: int, on: bool, time_ms: int) -> None:
        """Record that image i is shown alone, or not any more."""
        self._later("zoom", time_ms, i, on)

    def resize(self, terminal: TerminalWindow, tiles: Sequence[PageTile], time_ms: int) -> None:
        """Record a new size of the window, and the new places of the images."""
        self._later("resize", time_ms, asdict(terminal), [_tile(tile) for tile in tiles])

    def placed(self, i: int, tile: PageTile, time_ms: int) -> None:
        """Record that image i is drawn, and its sizes."""
        self._later("placed", time_ms, i, _tile(tile))

    def replace(self, i: int, reason: str, tile: PageTile, time_ms: int) -> None:
        """Record that image i is broken, and `tile` took its place."""
        for known in (self._selected, self.viewed, self.visited):
            known.discard(i)
        self._now("replace", time_ms, i, reason, _tile(tile))

    def broken(self, i: int, reason: str, time_ms: int) -> None:
        """Record that image i cannot be shown, and nothing takes its place."""
        self._now("broken", time_ms, i, reason)

    def prediction(self, on: bool, time_ms: int) -> None:
        """Record that the prediction was shown or hidden."""
        self._later("prediction", time_ms, on)

    # --- writing

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Hold the events of one key press back, and write them together at the end."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            self._write()

    def _begin(self, page: str, time_ms: int) -> None:
        self._write()
        self.page, self.begun_at = page, time_ms
        self._moved = {}
        self._selected, self.viewed, self.visited = set(), set(), set()

    def _later(self, name: str, time_ms: int, *arguments: Any) -> None:
        if not self.page:
            return
        self._events.append([name, time_ms, *arguments])
        if time_ms - self._events[0][1] >= FLUSH_MS:
            self._write()

    def _now(self, name: str, time_ms: int, *arguments: Any) -> None:
        if self.page:
            self._events.append([name, time_ms, *arguments])
            if not self._holds:
                self._write()

    def _write(self) -> None:
        if self._events:
            row = Byproduct(self._events[0][1], EVENTS, self.page, {"events": self._events})
            self._rows.append(row)
            self._events = []
        if not self._rows:
            return
        try:
            self._records.append_byproducts(*self._rows)
        except StoreError as error:
            self.fault = str(error)
        else:
            self.fault, self._rows = "", []


def _tile(tile: PageTile) -> list[Any]:
    """Return image, ref, [original width and height], [left, top, width and height in cells]."""
    place = [round(value, 3) for value in tile.place]
    return [tile.image, tile.ref, list(tile.original), place]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
