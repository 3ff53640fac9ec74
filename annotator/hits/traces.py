"""The sum of a page's events: the fields of ImageNet-AB, and fields that it lacks.

Names, units and normalisation of the first are the tool's own (`AnnotatorPage.utils.ts` of
naver-ai/imagenet-annotation-tool): pixels, milliseconds since the epoch, x and y in [0, 1] of the
displayed image. The others stand beside them under names of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from annotator.hits.recorder import EVENTS, NOMINAL_CELL, PAGE
from annotator.log.store.protocol import Byproduct, ByproductStore

Event = list[Any]


@dataclass(slots=True)
class PageTrace:
    """One page as it was left: by a submission, or by the last event on disk."""

    id: str
    shown: dict[str, Any]
    """The data that `Recorder.page_shown` wrote."""
    images: list[ImageTrace]
    ended_at: int | None = None
    """The time of the submission; None for a page that is still open."""
    last_at: int = 0
    begun_at: int = 0
    """The time when the page was last shown."""
    before_ms: int = 0
    """Milliseconds for which the page had been open before that."""
    keys: list[dict[str, Any]] = field(default_factory=list)
    focus: list[dict[str, Any]] = field(default_factory=list)
    scrolls: list[dict[str, Any]] = field(default_factory=list)
    resizes: list[dict[str, Any]] = field(default_factory=list)
    resumes: list[int] = field(default_factory=list)
    reopens: list[int] = field(default_factory=list)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[ImageTrace] = field(default_factory=list)

    @property
    def selected(self) -> list[int]:
        """The places of the selected images."""
        return [i for i, image in enumerate(self.images) if image.selected]

    @property
    def open_ms(self) -> int:
        """Milliseconds that the page was open: in each session, from showing to last event."""
        return self.before_ms + max(0, self.last_at - self.begun_at)

    def fields(self) -> dict[str, Any]:
        """Return the record of one page, the tool's own fields first."""
        shown = self.shown
        return {
            "imageNetAnnotationID": shown["annotation"],
            "id": self.id,
            "pageno": shown["pageno"],
            "startedAt": shown["started_at"],
            "endedAt": self.ended_at,
            "annotations": [image.fields() for image in self.images],
            "version": shown["version"],
            "workerID": shown["worker"],
            "class": shown["question"],
            "semantics": shown["semantics"],
            "order": shown["order"],
            "predictionShown": shown["prediction_shown"],
            "predictionRecord": self.predictions,
            "terminal": _terminal(shown["terminal"]),
            "resizedRecord": self.resizes,
            "keyRecord": self.keys,
            "focusRecord": self.focus,
            "scrolledRecord": self.scrolls,
            "resumedRecord": self.resumes,
            "reopenedRecord": self.reopens,
            "replaced": [image.fields() for image in self.replaced],
        }

    # --- adding events up

    def apply(self, event: Event) -> None:
        """Add one event; unknown names (of a later version) change nothing."""
        name, at, *arguments = event
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, at, *arguments)
        self.last_at = max(self.last_at, at)

    def _enter(self, time_ms: int, i: int) -> None:
        image = self.images[i]
        image.hovered = True
        image.hovers.append({"action": "enter", "time": time_ms})
        image.time(time_ms)

    def _leave(self, time_ms: int, i: int) -> None:
        image = self.images[i]
        image.hovered = False
        image.hovers.append({"action": "leave", "time": time_ms})
        image.time(time_ms)

    def _move(self, time_ms: int, i: int, x: float, y: float) -> None:
        image = self.images[i]
        image.moves.append({"x": x, "y": y, "time": time_ms})
        image.time(time_ms)

    def _select(self, time_ms: int, i: int, x: float | None, y: float | None, by: str) -> None:
        image = self.images[i]
        image.selected = True
        place = (NO_POINT, NO_POINT) if x is None or y is None else (x, y)
        image.selections.append({"x": place[0], "y": place[1], "time": time_ms, "by": by})
        image.time(time_ms)

    def _deselect(self, time_ms: int, i: int, by: str) -> None:
        image = self.images[i]
        image.selected = False
        image.deselections.append({"time": time_ms, "by": by})
        image.time(time_ms)

    def _scroll(self, time_ms: int, first: int, end: int) -> None:
        self.scrolls.append({"first": first, "end": end, "time": time_ms})
        for i, image in enumerate(self.images):
            if image.in_view != (first <= i < end):
                image.in_view = not image.in_view
                action = "enter" if image.in_view else "leave"
                image.views.append({"action": action, "time": time_ms})

    def _placed(self, time_ms: int, i: int, tile: list[Any]) -> None:
        image = self.images[i]
        if image.size == (0.0, 0.0):  # once, when it is loaded; resizes are told apart
            place_image(image, tile, _pixel(self.shown["terminal"]))

    def _resize(self, time_ms: int, terminal: dict[str, Any], tiles: list[list[Any]]) -> None:
        self.resizes.append({**_terminal(terminal), "time": time_ms})
        for image, tile in zip(self.images, tiles, strict=True):
            if image.size == (0.0, 0.0):
                place_image(image, tile, _pixel(terminal))

    def _replace(self, time_ms: int, i: int, reason: str, tile: list[Any]) -> None:
        gone = self.images[i]
        gone.broken = reason
        self._close(gone, time_ms)
        self.replaced.append(gone)
        self.images[i] = image_from_tile(tile, _pixel(self.shown["terminal"]))

    def _broken(self, time_ms: int, i: int, reason: str) -> None:
        self.images[i].broken = reason

    def _resume(self, time_ms: int) -> None:
        """Close what was open when the program died, at its last event."""
        for image in self.images:
            self._close(image, self.last_at)
            image.in_view = False
        self.before_ms, self.begun_at = self.open_ms, time_ms
        self.resumes.append(time_ms)

    def _submit(self, time_ms: int) -> None:
        for image in self.images:
            self._close(image, time_ms)
        self.ended_at = time_ms

    def _reopen(self, time_ms: int) -> None:
        self.before_ms, self.begun_at = self.open_ms, time_ms
        self.ended_at = None
        self.reopens.append(time_ms)

    def _close(self, image: ImageTrace, time_ms: int) -> None:
        image.hovered = False
        image.time(time_ms)


def replay_traces(records: ByproductStore, annotation: str | None = None) -> Iterator[PageTrace]:
    """Yield all pages, or those of one assignment, in the order shown, one in memory at a time."""
    for row in list(records.read_byproducts(PAGE)):
        if annotation in (None, row.data["annotation"]):
            yield replay_trace(row, records.read_byproducts(EVENTS, row.page))


def find_trace(records: ByproductStore, page: str) -> PageTrace:
    """Return one page by its id. Raises `KeyError` if there is none."""
    row = next(records.read_byproducts(PAGE, page), None)
    if row is None:
        raise KeyError(page)
    return replay_trace(row, records.read_byproducts(EVENTS, page))


def replay_trace(page: Byproduct, rows: Iterable[Byproduct]) -> PageTrace:
    """Build one page from its row and the rows of its events."""
    pixel = _pixel(page.data["terminal"])
    images = [image_from_tile(tile, pixel) for tile in page.data["tiles"]]
    found = PageTrace(page.page, dict(page.data), images, last_at=page.at, begun_at=page.at)
    for row in rows:
        for event in row.data["events"]:
            found.apply(event)
    return found


def _pixel(terminal: dict[str, Any]) -> tuple[float, float]:
    width, height = terminal["cell"] or NOMINAL_CELL
    return width, height


def _terminal(terminal: dict[str, Any]) -> dict[str, Any]:
    """Return the window in cells and pixels; pixels are None if the terminal does not say."""
    columns, rows, cell = terminal["columns"], terminal["rows"], terminal["cell"]
    return {
        "columns": columns,
        "rows": rows,
        "pixelWidth": round(columns * cell[0]) if cell else None,
        "pixelHeight": round(rows * cell[1]) if cell else None,
        "pointerResolution": terminal["pointer"],
        "technique": terminal["technique"],
    }


_HANDLERS: dict[str, Any] = {
    "enter": PageTrace._enter,
    "leave": PageTrace._leave,
    "move": PageTrace._move,
    "select": PageTrace._select,
    "deselect": PageTrace._deselect,
    "scroll": PageTrace._scroll,
    "placed": PageTrace._placed,
    "resize": PageTrace._resize,
    "replace": PageTrace._replace,
    "broken": PageTrace._broken,
    "resume": PageTrace._resume,
    "submit": PageTrace._submit,
    "reopen": PageTrace._reopen,
    "key": lambda page, at, key: page.keys.append({"key": key, "time": at}),
    "focus": lambda page, at, on: page.focus.append(
        {"action": "focus" if on else "blur", "time": at}
    ),
    "zoom": lambda page, at, i, on: page.images[i].zooms.append(
        {"action": "enter" if on else "leave", "time": at}
    ),
    "cursor": lambda page, at, i: page.images[i].cursors.append({"time": at}),
    "prediction": lambda page, at, on: page.predictions.append({"shown": on, "time": at}),
}


NO_POINT = -1.0
"""x and y of a selection without a pointer; ImageNet-AB's loader writes the same."""


@dataclass(slots=True)
class ImageTrace:
    """The events on one image."""

    image: str
    ref: str
    original: tuple[int, int] = (0, 0)
    size: tuple[float, float] = (0.0, 0.0)
    """Pixels of the displayed image."""
    position: tuple[float, float] = (0.0, 0.0)
    """Pixels from the window's top left corner, if the page were not scrolled."""
    selected: bool = False
    hovered: bool = False
    in_view: bool = False
    estimate_ms: int = 0
    moves: list[dict[str, Any]] = field(default_factory=list)
    hovers: list[dict[str, Any]] = field(default_factory=list)
    selections: list[dict[str, Any]] = field(default_factory=list)
    deselections: list[dict[str, Any]] = field(default_factory=list)
    zooms: list[dict[str, Any]] = field(default_factory=list)
    cursors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""
    """The reason that a broken image cannot be shown."""
    _since: int | None = None

    @property
    def viewed(self) -> bool:
        """True if it was ever in the window."""
        return bool(self.views)

    @property
    def visited(self) -> bool:
        """True if the pointer or the keyboard's cursor was ever on it."""
        return bool(self.hovers or self.cursors)

    def time(self, time_ms: int) -> None:
        """Count the time that the pointer is on an unselected image, from its first position on."""
        running = self.hovered and not self.selected and bool(self.moves)
        if self._since is not None and not running:
            self.estimate_ms += max(0, time_ms - self._since)  # clocks are set back, too
            self._since = None
        elif self._since is None and running:
            self._since = time_ms

    def fields(self) -> dict[str, Any]:
        """Return the record of one image, the tool's own fields first."""
        return {
            "imageID": self.image,
            "originalImageWidth": self.original[0],
            "originalImageHeight": self.original[1],
            "imageWidth": round(self.size[0]),
            "imageHeight": round(self.size[1]),
            "imagePosition": {"x": round(self.position[0]), "y": round(self.position[1])},
            "hoveredRecord": self.hovers,
            "hoveredCount": sum(hover["action"] == "enter" for hover in self.hovers),
            "mouseTracking": self.moves,
            "selected": self.selected,
            "selectedRecord": self.selections,
            "selectedCount": len(self.selections),
            "estimateTime": self.estimate_ms,
            "ref": self.ref,
            "deselectedRecord": self.deselections,
            "viewedRecord": self.views,
            "cursorRecord": self.cursors,
            "zoomedRecord": self.zooms,
            "broken": self.broken or None,
        }


def image_from_tile(tile: list[Any], pixel: tuple[float, float]) -> ImageTrace:
    """Build an image from a tile of the recorder; `pixel` is a cell's width and height."""
    image = ImageTrace(tile[0], tile[1])
    place_image(image, tile, pixel)
    return image


def place_image(image: ImageTrace, tile: list[Any], pixel: tuple[float, float]) -> None:
    """Set where an image is drawn, in pixels."""
    _, _, original, (left, top, width, height) = tile
    image.original = (original[0], original[1])
    image.size = (width * pixel[0], height * pixel[1])
    image.position = (left * pixel[0], top * pixel[1])
