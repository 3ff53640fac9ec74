"""True pixels: which of them are in view, and how an item is shown beside its plain picture."""

from __future__ import annotations

import math
from typing import NamedTuple

from annotator.images.contrast import PLAIN, Contrast
from annotator.items.refs import Box, Item
from annotator.terminal.requests import PictureRequest
from annotator.terminal.sheet import Sheet

MOST_SCALE = 64
"""The side of the largest square of a source pixel."""
_MOST_KEPT = 256


class PixelView(NamedTuple):
    """The part of a source image whose pixels are drawn as squares."""

    left: int
    top: int
    width: int
    height: int
    scale: int
    """The side of a source pixel in pixels of the screen."""
    source: tuple[int, int]
    """Width and height of the source."""

    def moved(self, right: float, down: float) -> PixelView:
        """Return the view moved by source pixels, as far as the source reaches."""
        left = _within(round(self.left + right), self.source[0] - self.width)
        top = _within(round(self.top + down), self.source[1] - self.height)
        return self._replace(left=left, top=top)

    def panned(self, right: float, down: float) -> PixelView:
        """Return the view moved by shares of its size, by a whole pixel at least."""
        steps = (
            math.copysign(max(1.0, abs(share) * side), share) if share else 0.0
            for share, side in ((right, self.width), (down, self.height))
        )
        return self.moved(*steps)

    def scaled(self, scale: int, room: tuple[int, int]) -> PixelView:
        """Return the view with larger or smaller squares around the same middle."""
        width, height = (min(s, r // scale) for s, r in zip(self.source, room, strict=True))
        left = round(self.left + self.width / 2 - width / 2)
        top = round(self.top + self.height / 2 - height / 2)
        found = PixelView(0, 0, max(1, width), max(1, height), scale, self.source)
        return found.moved(left, top)


def place_view(
    source: tuple[int, int],
    region: tuple[int, int],
    box: Box | None,
    room: tuple[int, int],
    request: PictureRequest,
) -> PixelView:
    """Return the part of the source in view: around the box, or where it was moved.

    Without a scale, the pixels are squares as large as lets the `region` of the item fit.
    """
    scale = request.scale or max(1, min(room[0] // region[0], room[1] // region[1]))
    scale = max(1, min(scale, *room))
    width, height = (max(1, min(s, r // scale)) for s, r in zip(source, room, strict=True))
    start = PixelView(0, 0, width, height, scale, source)
    if request.corner is not None:
        return start.moved(*request.corner)
    x, y = source[0] / 2, source[1] / 2
    if box is not None:
        x, y = box.x + box.w / 2, box.y + box.h / 2
    return start.moved(round(x - width / 2), round(y - height / 2))


def _within(value: int, most: int) -> int:
    return max(0, min(value, most))


class ViewState:
    """The way items are shown: fitted or in true pixels, from where, and in which contrast."""

    def __init__(self) -> None:
        self.contrast: Contrast = PLAIN
        self.zoomed = False
        self._scale = 0
        self._moved: PixelView | None = None
        """The pixels that a move has brought into view; None to follow the box."""
        self._views: dict[PictureRequest, PixelView] = {}
        """The pixels in view of the requests that were encoded last."""
        self._notes: dict[Item, str] = {}

    def begin_item(self, *, keeps_zoom: bool) -> None:
        """Follow the box of another item."""
        self.zoomed = self.zoomed and keeps_zoom
        self._moved = None

    def toggle_zoom(self) -> bool:
        """Switch between the fitted picture and true pixels; return whether they are on."""
        self.zoomed, self._scale, self._moved = not self.zoomed, 0, None
        return self.zoomed

    def request(self, item: Item, *, current: bool = False) -> PictureRequest:
        """Return the request for an item; the `current` one may be moved.

        A sheet has no pixels of its own: the next pages are prepared as a whole.
        """
        if not self.zoomed or isinstance(item, Sheet):
            return PictureRequest(item, contrast=self.contrast)
        moved = self._moved if current else None
        corner = None if moved is None else (moved.left, moved.top)
        return PictureRequest(item, True, self._scale, corner, self.contrast)

    def pixels(self, item: Item | None) -> PixelView | None:
        """Return the true pixels of the current item in view; None if they are not known."""
        if item is None or not self.zoomed:
            return None
        return self._moved or self._views.get(self.request(item, current=True))

    def move(self, before: PixelView, view: PixelView) -> bool:
        """Bring other pixels into view; return whether that changes anything."""
        if view != before:
            self._moved = view
        if view.scale != before.scale:
            self._scale = view.scale
        return view != before

    def note(self, request: PictureRequest, view: PixelView | None, note: str) -> None:
        """Keep what the encoder has found out about a picture."""
        if view is not None:
            self._views[request] = view
        if note:
            self._notes[request.item] = note
        for known in (self._views, self._notes):
            while len(known) > _MOST_KEPT:
                known.pop(next(iter(known)))  # type: ignore[call-overload]

    def describe(self, item: Item | None) -> str:
        """Return such as `true pixels x3 · contrast crop`; "" if an item is shown as it is."""
        view = self.pixels(item)
        zoom = f"true pixels x{view.scale}" if view is not None else "true pixels"
        note = self._notes.get(item, "") if item is not None else ""
        parts = (note, zoom if self.zoomed else "", self.contrast.describe())
        return " · ".join(filter(None, parts))
