"""The annotator's hand on a page, passed on to the recorder of by-products."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from textual.app import App
from textual.geometry import Size

from annotator.hits.recorder import PageShown, PageTile, Recorder, TerminalWindow
from annotator.items.refs import Item
from annotator.pages import Page, PageSelection
from annotator.tui.pages.mosaic import Mosaic


def epoch_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def ref_of_place(page: Page, place: int) -> str:
    """Return the ref at a place of a page, which is its imageID outside of HITs."""
    return page.refs[place]


class RecordedScreen(Protocol):
    """The screen of pages as the pointer recorder sees it."""

    prediction: bool

    @property
    def page(self) -> Page | None:
        """The page on screen."""

    @property
    def selection(self) -> PageSelection | None:
        """The selection on the page."""

    @property
    def shows_other_item(self) -> bool:
        """True if something else is shown in place of the page."""

    @property
    def mosaic(self) -> Mosaic:
        """The widget that shows the page."""

    @property
    def size(self) -> Size:
        """The size of the screen in cells."""

    @property
    def app(self) -> App[Any]:
        """The app, whose driver knows how exact the pointer is."""

    def in_view(self) -> range:
        """Return the places of the tiles in the window."""


class PointerRecorder:
    """The recorder of one screen. Every method is cheap: the pointer calls at its own rate."""

    def __init__(
        self,
        recorder: Recorder,
        screen: RecordedScreen,
        image_id: Callable[[Page, int], str] = ref_of_place,
        clock: Callable[[], int] = epoch_ms,
    ) -> None:
        """Follow `screen`; `image_id` returns the imageID of a place on a page."""
        self.recorder, self._screen = recorder, screen
        self._image_id, self._clock = image_id, clock
        self.hovered: int | None = None
        """The place of the image that the pointer is on."""
        self.last: tuple[int, float, float] | None = None
        """The pointer's position on an image: its place, and x and y in [0, 1]."""
        self.cursor: int | None = None
        """The place that the keyboard's cursor was moved to, on this page."""
        self._page = ""
        self._marks: set[str] = set()
        self._placed: set[int] = set()
        self._cursor, self._zoomed = -1, -1
        self._size: tuple[int, int] = (0, 0)

    # --- pages

    def shown(self) -> None:
        """Record that a part of the page is on the screen, for the first time or anew."""
        page, now = self._screen.page, self._clock()
        if page is None:
            return
        view, tiles = self._screen.in_view(), self._tiles(page)
        if page.key != self._page:
            self._begin(page, tiles, now)
        elif self._size != tuple(self._screen.size):
            self.recorder.resize(self._terminal(), tiles, now)
        else:
            for place in view:
                if place not in self._placed:
                    self.recorder.placed(place, tiles[place], now)
        self._placed.update(view)
        self._size = (self._screen.size.width, self._screen.size.height)
        self.recorder.scroll(view.start, view.stop, now)

    def _begin(self, page: Page, tiles: Sequence[PageTile], time_ms: int) -> None:
        shown = PageShown(
            time_ms, page.number, page.label, page.select, page.order,
            prediction_shown=self._screen.prediction and bool(page.chances), id=page.key,
        )  # fmt: skip
        self.recorder.page_shown(shown, tiles, self._terminal())
        self._page, self._marks = page.key, set(page.selected)
        self._cursor, self._zoomed = 0, -1
        self.hovered = self.cursor = None
        self._placed.clear()

    def _tiles(self, page: Page) -> list[PageTile]:
        """Return all images of the page; the ones out of view have no position yet."""
        view, mosaic = self._screen.in_view(), self._screen.mosaic
        tiles = []
        for place, ref in enumerate(page.refs):
            tile = PageTile(self._image_id(page, place), ref)
            if place in view:
                left, top, width, height = mosaic.picture_at(place - view.start)
                part = view.start // max(1, len(view))
                found = mosaic.composer.placements.get(Item.parse(ref))
                corner = mosaic.content_region.offset
                below = top + corner.y + part * mosaic.size.height
                rect = (left + corner.x, below, width, height)
                tile = tile._replace(original=found.source if found else (0, 0), place=rect)
            tiles.append(tile)
        return tiles

    def _terminal(self) -> TerminalWindow:
        app, mosaic = self._screen.app, self._screen.mosaic
        return TerminalWindow(
            app.size.width, app.size.height, mosaic.cell_pixels,
            "pixel" if self._is_exact() else "cell", str(mosaic.technique),
        )  # fmt: skip

    def _is_exact(self) -> bool:
        """Return whether the terminal reports the pointer in pixels."""
        return bool(getattr(self._screen.app._driver, "_mouse_pixels", False))

    def submitted(self) -> None:
        """Record that the page is answered."""
        self.recorder.submit(self._clock())

    def tick(self) -> None:
        """Write what has waited for a second."""
        self.recorder.tick(self._clock())

    # --- the pointer

    def moved(self, x: float, y: float) -> None:
        """Record the pointer at a point of the screen, in cells."""
        found, now = self._under(x, y), self._clock()
        self.last = found
        place = found[0] if found else None
        if place != self.hovered:
            if self.hovered is not None:
                self.recorder.leave(self.hovered, now)
            if place is not None:
                self.recorder.enter(place, now)
            self.hovered = place
        if found is not None:
            self.recorder.move(*found, now)

    def _under(self, x: float, y: float) -> tuple[int, float, float] | None:
        """Return the image under a point of the screen and the point in it, in [0, 1]."""
        screen = self._screen
        view = screen.in_view()
        if screen.page is None or screen.shows_other_item or not view or not self._page:
            return None
        near = screen.mosaic.tile_at(x, y)
        if near is None:
            return None
        if not self._is_exact():
            x, y = x + 0.5, y + 0.5  # the middle of the cell
        region = screen.mosaic.content_region
        left, top, width, height = screen.mosaic.picture_at(near[0])
        right, down = (x - region.x - left) / width, (y - region.y - top) / height
        if not (0 <= right <= 1 and 0 <= down <= 1):
            return None  # on the frame
        return view.start + near[0], right, down

    # --- keys

    def key(self, name: str) -> None:
        """Record a key press."""
        self.recorder.key(name, self._clock())

    def changed(self, by: str, point: tuple[float, ...] = ()) -> None:
        """Record what has changed of the selection and the cursor.

        `by` names the cause: a key, a letter, the mouse at `point` of an image …
        """
        page, selection = self._screen.page, self._screen.selection
        if page is None or selection is None or page.key != self._page:
            return
        now, marks = self._clock(), set(selection.marks)
        with self.recorder.batch():
            for place, ref in enumerate(page.refs):
                if ref in marks and ref not in self._marks:
                    self.recorder.select(place, *self._point(place, point), now, by)
                elif ref in self._marks and ref not in marks:
                    self.recorder.deselect(place, now, by)
        self._marks = marks
        if selection.cursor != self._cursor:
            self._cursor = selection.cursor
            self.cursor = None if by == "mouse" else selection.cursor
            if self.cursor is not None:
                self.recorder.cursor(self.cursor, now)

    def _point(self, place: int, point: tuple[float, ...]) -> tuple[float | None, float | None]:
        """Return where an image was clicked: by cell, or by pixel if the pointer knows it."""
        if len(point) != 2:
            return None, None
        if self.last is not None and self.last[0] == place:
            return self.last[1:]
        return point[0], point[1]

    def zoomed(self, place: int | None) -> None:
        """Record that one image is shown alone; None: the page again."""
        now = self._clock()
        if self._zoomed >= 0 and self._zoomed != place:
            self.recorder.zoom(self._zoomed, False, now)
        if place is not None and place != self._zoomed:
            self.recorder.zoom(place, True, now)
        self._zoomed = -1 if place is None else place

    def replaced(self, place: int, reason: str, page: Page | None) -> None:
        """Record a broken image; `page` has another in its place, None if the reserve is used."""
        now = self._clock()
        if page is None:
            self.recorder.broken(place, reason, now)
            return
        self._placed.discard(place)
        self._marks &= set(page.refs)
        tile = PageTile(self._image_id(page, place), page.refs[place])
        self.recorder.replace(place, reason, tile, now)

    def focused(self, on: bool) -> None:
        """Record that the terminal's window got or lost the focus."""
        self.recorder.focus(on, self._clock())

    def prediction(self, on: bool) -> None:
        """Record that the prediction was shown or hidden."""
        self.recorder.prediction(on, self._clock())
