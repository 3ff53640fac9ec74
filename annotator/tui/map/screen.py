"""The screen of the map: a frame chooses a region, and its items open as pages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen

from annotator.errors import AnnotatorError
from annotator.images.crops import Crop
from annotator.images.scatter import WHOLE, Region, draw_points
from annotator.items.refs import Item, make_printable, plural
from annotator.session.pool_map import COLOURINGS, MapGroups, PoolMap
from annotator.tui.map.legend import MapLegend
from annotator.tui.picture.picture import PictureArea, PictureView
from annotator.tui.widgets.bars import Header, KeyBar, KeyHint
from annotator.tui.workers import make_poster

SMALLEST = 0.02
"""The smallest side of the frame, as a share of the view."""


@dataclass(frozen=True, slots=True)
class MapView:
    """The state of the picture: its colouring, the part in view, and the frame in it."""

    colouring: str = COLOURINGS[0]
    view: Region = WHOLE
    frame: Region = (0.375, 0.375, 0.625, 0.625)

    def move(self, right: int, down: int) -> MapView:
        """Move the frame by a quarter of its size."""
        left, top, width, height = self._frame_box()
        left = min(max(left + right * width / 4, self.view[0]), self.view[2] - width)
        top = min(max(top + down * height / 4, self.view[1]), self.view[3] - height)
        return replace(self, frame=(left, top, left + width, top + height))

    def scale(self, factor: float) -> MapView:
        """Change the size of the frame about its middle, inside the view."""
        left, top, width, height = self._frame_box()
        full_width, full_height = self.view[2] - self.view[0], self.view[3] - self.view[1]
        wide = min(full_width, max(SMALLEST * full_width, width * factor))
        high = min(full_height, max(SMALLEST * full_height, height * factor))
        left, top = left + (width - wide) / 2, top + (height - high) / 2
        return replace(self, frame=(left, top, left + wide, top + high)).move(0, 0)

    def zoom_in(self) -> MapView:
        """Show the frame's part of the plane alone."""
        left, top, width, height = self._frame_box()
        inner = (left + width / 4, top + height / 4, left + 3 * width / 4, top + 3 * height / 4)
        return replace(self, view=self.frame, frame=inner)

    def zoom_out(self) -> MapView:
        """Show the whole plane again."""
        return replace(self, view=WHOLE, frame=self.view)

    def with_frame(self, start: tuple[float, float], end: tuple[float, float]) -> MapView:
        """Frame the rectangle between two points of the view, given as shares of its sides."""
        (left, right), (top, bottom) = (sorted(pair) for pair in zip(start, end, strict=True))
        width, height = self.view[2] - self.view[0], self.view[3] - self.view[1]
        right, bottom = max(right, left + SMALLEST), max(bottom, top + SMALLEST)
        frame = (
            self.view[0] + left * width, self.view[1] + top * height,
            self.view[0] + right * width, self.view[1] + bottom * height,
        )  # fmt: skip
        return replace(self, frame=frame).move(0, 0)

    def with_middle(self, point: tuple[float, float]) -> MapView:
        """Move the middle of the frame to a point of the view, given as shares of its sides."""
        _, _, width, height = self._frame_box()
        x = self.view[0] + point[0] * (self.view[2] - self.view[0])
        y = self.view[1] + point[1] * (self.view[3] - self.view[1])
        frame = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return replace(self, frame=frame).move(0, 0)

    def _frame_box(self) -> tuple[float, float, float, float]:
        left, top, right, bottom = self.frame
        return left, top, right - left, bottom - top


@dataclass(frozen=True, slots=True)
class MapPicture(Item):
    """A view of a map as one picture: whatever shows an item's picture can show it.

    Its path is a name for people.
    """

    view: MapView = MapView()
    found: tuple[PoolMap, MapGroups] | None = field(default=None, compare=False)


class MapScreen(Screen[None]):
    """The map of the pool. Its pages open over it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,M,q,Q,ctrl+c", "leave", "close", priority=True),
        Binding("left", "move(-1,0)"), Binding("right", "move(1,0)"),
        Binding("up", "move(0,-1)"), Binding("down", "move(0,1)"),
        Binding("plus,equals_sign", "scale(1.25)"), Binding("minus", "scale(0.8)"),
        Binding("c", "recolour"), Binding("z", "zoom"), Binding("enter", "open_pages"),
    ]  # fmt: skip

    class Ready(Message):
        """The map with its groups, or the reason that there is none."""

        def __init__(self, found: tuple[PoolMap, MapGroups] | str) -> None:
            super().__init__()
            self.found = found

    def __init__(
        self,
        project: Path,
        make_picture: Callable[[Callable[[Item, tuple[int, int]], Crop]], PictureView],
        make_map: Callable[[str], tuple[PoolMap, MapGroups]],
        open_pages: Callable[[list[int], str], object],
        better: Callable[[Callable[[str], object]], Callable[[], object]],
    ) -> None:
        """Show the map that `make_map` returns in a thread, and open pages of pool rows.

        `better` starts a slower, better map, calls its argument with the method when the map is
        there, and returns the function that ends the work.
        """
        super().__init__()
        self._make_map, self._open_pages, self._better = make_map, open_pages, better
        self._post = make_poster(self)
        self._end_better: Callable[[], object] | None = None
        self._found: tuple[PoolMap, MapGroups] | None = None
        self._view = MapView()
        self._pressed: tuple[float, float] | None = None
        self.picture = make_picture(self._draw)
        self.header = Header(make_printable(project.name), id="header")
        self.stage = PictureArea(self.picture, id="stage")
        self.legend, self.keys = MapLegend(id="sidebar"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the picture beside the legend."""
        yield self.header
        with Horizontal(id="middle"):
            yield self.stage
            yield self.legend
        yield self.keys

    def on_mount(self) -> None:
        """Make the map in a thread."""
        self.header.badge("MAP")
        self.stage.show_notice("The map is being made", [("a second for 100,000 items", "dim")])
        self.keys.show([KeyHint("esc", "close", ("leave", ""), 9)])
        self._start("")

    def on_unmount(self) -> None:
        """End the work on a better map: the next screen begins it again."""
        if self._end_better is not None:
            self._end_better()

    def _start(self, method: str) -> None:
        threading.Thread(target=self._make, args=(method,), name="map", daemon=True).start()

    def _make(self, method: str) -> None:
        try:
            self._post(self.Ready(self._make_map(method)))
        except AnnotatorError as error:
            self._post(self.Ready(str(error)))
        except Exception as error:  # a thread's boundary: the screen says what ended the map
            self._post(self.Ready(f"The map failed: {error!r}"))

    def on_map_screen_ready(self, message: Ready) -> None:
        """Show the map, or the reason that there is none."""
        if isinstance(message.found, str):
            if self._found is None:
                self.stage.show_notice("There is no map", [(message.found, "text")])
            return
        first = self._found is None
        self._found = message.found
        self.keys.show(_HINTS)
        self._show_groups()
        self.show()
        if first:
            self._end_better = self._better(self._start)

    # --- what is on screen

    def show(self) -> None:
        """Show the map as it is now; a view that was shown before is still in the terminal."""
        if self._found is None:
            return
        found, groups = self._found
        picture = MapPicture(f"a map by {found.method.upper()}", view=self._view, found=self._found)
        self.stage.show(picture, ())
        inside = found.inside(self._view.frame)
        framed = "nothing"
        if len(inside):
            held = groups.describe(inside, self._view.colouring)
            framed = f"{plural(len(inside), 'item')}: {held}"
        self.legend.show_frame(framed)

    def _show_groups(self) -> None:
        if self._found is not None:
            found, groups = self._found
            colouring = self._view.colouring
            heading = f"{colouring} · {found.method.upper()}"
            self.legend.show_groups(heading, groups.count(colouring))

    def _draw(self, item: Item, size: tuple[int, int]) -> Crop:
        """Return the picture of a view; it runs in a thread of the picture's encoder."""
        assert isinstance(item, MapPicture) and item.found is not None
        view, (found, groups) = item.view, item.found
        numbers, _ = groups.numbers(view.colouring)
        picture = draw_points(
            found.points, numbers, groups.colours(view.colouring), size,
            background=(0, 0, 0), view=view.view, frame=view.frame,
        )  # fmt: skip
        return Crop(picture, None, 1.0, size)

    # --- keys and the pointer

    def action_move(self, right: int, down: int) -> None:
        """Move the frame."""
        self._change(self._view.move(right, down))

    def action_scale(self, factor: float) -> None:
        """Make the frame larger or smaller."""
        self._change(self._view.scale(factor))

    def action_zoom(self) -> None:
        """Show the frame's part alone, or the whole map again."""
        whole = self._view.view == WHOLE
        self._change(self._view.zoom_in() if whole else self._view.zoom_out())

    def action_recolour(self) -> None:
        """Colour the points by the next measure."""
        place = (COLOURINGS.index(self._view.colouring) + 1) % len(COLOURINGS)
        self._change(replace(self._view, colouring=COLOURINGS[place]))
        self._show_groups()

    def action_open_pages(self) -> None:
        """Open pages of the items in the frame."""
        if self._found is None:
            return
        found, _ = self._found
        inside = found.inside(self._view.frame)
        if not len(inside):
            self.header.say("No item lies in the frame", "warn")
            return
        rows = found.rows[inside].tolist()
        self._open_pages(rows, f"map: {len(rows):,} items of one region")

    def action_leave(self) -> None:
        """Close the map."""
        self.dismiss(None)

    def _change(self, view: MapView) -> None:
        if self._found is not None:
            self._view = view
            self.header.say("")
            self.show()

    def _share(self, event: events.MouseEvent) -> tuple[float, float]:
        """Return the place of the pointer as shares of the picture's sides."""
        region = self.picture.region
        x = (event.screen_x - region.x + 0.5) / max(1, region.width)
        y = (event.screen_y - region.y + 0.5) / max(1, region.height)
        return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a frame at the pointer."""
        if self.picture.region.contains(event.screen_x, event.screen_y):
            self._pressed = self._share(event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End the frame; without a drag it moves to the pointer."""
        start, self._pressed = self._pressed, None
        if start is None:
            return
        end, view = self._share(event), self._view
        self._change(view.with_middle(end) if start == end else view.with_frame(start, end))

    @on(KeyBar.Chosen)
    async def _clicked(self, message: KeyBar.Chosen) -> None:
        await self.run_action(message.action[0])


_HINTS = [
    KeyHint("enter", "open", ("open_pages", ""), 0),
    KeyHint("← ↑ ↓ →", "move", ("", ""), 1),
    KeyHint("+ −", "size", ("scale(1.25)", ""), 2),
    KeyHint("z", "zoom", ("zoom", ""), 3),
    KeyHint("c", "colour", ("recolour", ""), 4),
    KeyHint("esc", "close", ("leave", ""), 5),
]
