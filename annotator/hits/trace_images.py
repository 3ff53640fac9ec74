"""What happened on one image of a page, and its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NO_POINT = -1.0
"""x and y of a selection that no pointer made, as where ImageNet-AB's loader has no point."""


@dataclass(slots=True)
class ImageTrace:
    """What happened on one image."""

    image: str
    ref: str
    original: tuple[int, int] = (0, 0)
    size: tuple[float, float] = (0.0, 0.0)
    """Pixels of the displayed image."""
    position: tuple[float, float] = (0.0, 0.0)
    """Pixels from the page's top left corner, scrolling apart."""
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
    """Why it cannot be shown, if it cannot."""
    _since: int | None = None

    @property
    def viewed(self) -> bool:
        """Whether it was ever in the window."""
        return bool(self.views)

    @property
    def visited(self) -> bool:
        """Whether the pointer or the keyboard's cursor was ever on it."""
        return bool(self.hovers or self.cursors)

    def time(self, time_ms: int) -> None:
        """Count the time hovered, not selected and after the first pointer position."""
        running = self.hovered and not self.selected and bool(self.moves)
        if self._since is not None and not running:
            self.estimate_ms += max(0, time_ms - self._since)  # clocks are set back, too
            self._since = None
        elif self._since is None and running:
            self._since = time_ms

    def fields(self) -> dict[str, Any]:
        """The record of one image, the tool's own fields first."""
        return {
            "imageID": self.image,
            "originalImageWidth": self.original[0],
            "originalImageHeight": self.original[1],
            "imageWidth": round(self.size[0], 2),
            "imageHeight": round(self.size[1], 2),
            "imagePosition": {"x": round(self.position[0], 2), "y": round(self.position[1], 2)},
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
    """An image as a tile of the recorder's has it; `pixel` is a cell's width and height."""
    image = ImageTrace(tile[0], tile[1])
    place_image(image, tile, pixel)
    return image


def place_image(image: ImageTrace, tile: list[Any], pixel: tuple[float, float]) -> None:
    """Set where an image is drawn, in pixels."""
    _, _, original, (left, top, width, height) = tile
    image.original = (original[0], original[1])
    image.size = (width * pixel[0], height * pixel[1])
    image.position = (left * pixel[0], top * pixel[1])
