"""The picture of an item, in the terminal before the key that asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.dom import DOMNode
from textual.events import Mount, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from annotator.refs import Item, printable
from annotator.terminal.backend import Area, Backend
from annotator.terminal.budget import Budget
from annotator.terminal.caps import Caps, Technique
from annotator.terminal.line import SLACK, Line
from annotator.terminal.make import backend_for
from annotator.terminal.overdraw import touches
from annotator.terminal.probe import cell_size, through_tmux, tmux_client
from annotator.terminal.shots import Display, Shot
from annotator.terminal.stage import Stage
from annotator.tui.widgets.driver import PictureDriver
from annotator.tui.widgets.order import along, overlaid
from annotator.tui.widgets.strips import segments, words
from annotator.tui.widgets.studio import Developed, Load, Studio

SLOW = 0.04
"""Round trip in seconds from which on the seen-guard is on by default."""

DRAWN_SLACK = 0.12
"""Seconds of a picture that may queue where each is drawn anew: more, for somebody waits for it."""
CLIENT = 2.0
"""Seconds between looks at which terminal tmux is attached to."""


class Picture(Widget):
    """Shows one item's picture and sends those to come ahead.

    `load(item, (width, height))` gives the picture; it runs in a worker thread and may raise
    `ImageError`. `show` an item, `expect` those that will be asked for next.
    """

    DEFAULT_CSS: ClassVar[str] = "Picture { width: 1fr; height: 1fr; }"

    class Shown(Message):
        """The bytes that show `item` were written, `ms` milliseconds after it was asked for."""

        def __init__(self, item: Item, ms: float) -> None:
            super().__init__()
            self.item, self.ms = item, ms

    class Seen(Message):
        """The terminal has drawn `item`, `ms` milliseconds after it was asked for."""

        def __init__(self, item: Item, ms: float) -> None:
            super().__init__()
            self.item, self.ms = item, ms

    class Broken(Message):
        """`item` has no picture; `reason` is shown in its place."""

        def __init__(self, item: Item, reason: str) -> None:
            super().__init__()
            self.item, self.reason = item, reason

    class _Developed(Message, bubble=False):
        def __init__(self, developed: Developed) -> None:
            super().__init__()
            self.developed = developed

    def __init__(
        self,
        load: Load,
        caps: Caps,
        *,
        backend: Backend | None = None,
        guard: str = "auto",
        lossless: bool = False,
        depth: int = 5,
        id: str | None = None,  # noqa: A002  Textual's name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._load, self._caps, self._guard = load, caps, guard
        self._backend = backend or backend_for(caps)
        wrap = through_tmux if caps.wrapped else bytes
        self._line = Line(
            time.monotonic,
            caps.answers,
            wrap,
            caps.rtt,
            patience=1.5 if caps.wrapped else 5.0,
            slack=SLACK if self._backend.slots else DRAWN_SLACK,
        )
        budget = Budget(
            self._backend.ladder,
            self._line,
            time.monotonic,
            stores=self._backend.slots > 0,
            lossless=lossless,
        )
        self._stage = Stage(
            self._backend, self._line, self._write, time.monotonic, budget=budget, depth=depth
        )
        self._studio: Studio | None = None
        self._broken: dict[Item, str] = {}
        self._item: Item | None = None
        self._seen: Item | None = None
        self._expected: tuple[Item, ...] = ()
        self._zoomed = self._overdrawn = False
        self._reported = 0
        self._client = ""

    # -- what the screen asks for ----------------------------------------------------------

    def show(self, item: Item) -> None:
        """Show an item: at once if it is in the terminal, else as soon as it arrives."""
        self._item, self._zoomed, self._seen = item, False, None
        self._step()

    def expect(self, items: Sequence[Item]) -> None:
        """The items that will be asked for, most wanted first; the previous one, too, for undo."""
        self._expected = tuple(items)
        self._step()

    def clear(self) -> None:
        """Show nothing."""
        self._item = self._seen = None
        self._stage.clear()
        self.refresh()

    def zoom(self) -> bool:
        """Switch between the fitted picture and the source's own pixels. Returns whether on."""
        self._zoomed = not self._zoomed
        self._step()
        return self._zoomed

    def redraw(self) -> None:
        """Send everything anew, as to a terminal that was reset or is another one."""
        self._seen = None
        self._stage.redraw()
        self.refresh()
        self._step()

    @property
    def item(self) -> Item | None:
        """The item that was asked for last."""
        return self._item

    @property
    def seen(self) -> Item | None:
        """The item that the terminal has certainly drawn: the only one a key can mean."""
        return self._seen

    @property
    def guarded(self) -> bool:
        """Whether keys count only once their picture was drawn: on, or over a slow line."""
        slow = self._line.rtt >= SLOW or self._caps.remote
        return self._guard == "on" or (self._guard == "auto" and slow)

    def accepts(self, item: Item) -> bool:
        """Whether a label key that arrives now can be meant for `item`."""
        return self._item == item and (self._seen == item or not self.guarded)

    @property
    def technique(self) -> Technique:
        return self._backend.technique

    @property
    def status(self) -> str:
        """For the footer: the picture's bytes, pictures ready, milliseconds from key to drawn."""
        view = self._stage.view
        parts = [_bytes(view.payload.size)] if view.payload is not None else []
        parts.append(f"ready {self._stage.ready}")
        if self._seen is not None and self._line.fences:
            parts.append(f"{view.waited * 1000:.0f} ms")
        return " · ".join(parts)

    # -- life ------------------------------------------------------------------------------

    def on_mount(self, event: Mount) -> None:
        driver = self.app._driver
        if isinstance(driver, PictureDriver):
            driver.on_answer = self._answered
            driver.on_text = self._others_wrote
            self.call_after_refresh(driver.hand_on_typed)
            driver.on_farewell = self._stage.end
            driver.on_drain = lambda: (self._line.asked, min(2.0, 0.1 + 3 * self._line.rtt))
        else:
            self._line.fences = False
        self._studio = Studio(self._load, self._backend, self._from_thread)
        self.set_interval(0.1, self._tick)
        if self._caps.wrapped:
            self.call_later(self._ask_for_client)
            self.set_interval(CLIENT, self._ask_for_client)
        self.watch(self.screen, "stack_updates", self._check, init=False)
        self.screen.screen_layout_refresh_signal.subscribe(self, self._relaid)
        self.app.app_resume_signal.subscribe(self, self._resumed)
        self.app.theme_changed_signal.subscribe(self, self._repaper)
        self._repaper()

    def on_unmount(self) -> None:
        if self._studio is not None:
            self._studio.close()
        self._write(self._stage.end())

    def on_resize(self, event: Resize) -> None:
        if self._stage.area.usable:
            self.set_timer(0.1, self._place)
        else:
            self._place()

    def _relaid(self, screen: object) -> None:
        self._place()
        self._check()

    def _repaper(self, theme: object = None) -> None:
        """Margins in the widget's own colour, whatever the theme."""
        before = self._backend.background
        self._stage.repaper(self.background_colors[1].rgb)
        if before != self._backend.background:
            self._seen = None
            self.refresh()
            self._step()

    def _resumed(self, app: object) -> None:
        self.redraw()

    def _place(self) -> None:
        if not self.is_mounted:
            return
        region, size = self.content_region, self.app.size
        self._line.resize(size.width, size.height)
        area = Area(*region, self._cell())
        # Another size of screen moves a picture by one row only on its way: wait for the layout.
        if region.right <= size.width and region.bottom <= size.height:
            before = self._stage.area
            self._stage.place(area)
            if area != before:
                self._seen = None
                self.refresh()
                self._step()

    def _cell(self) -> tuple[int, int]:
        driver = self.app._driver
        found = cell_size(driver.fileno) if isinstance(driver, PictureDriver) else None
        return found or self._caps.cell

    # -- one step: what is wanted, what is known, what is written --------------------------

    def _step(self) -> None:
        """After any change: tell the stage and the studio what is wanted now."""
        if not self.is_mounted or self._studio is None:
            return
        item = self._item
        if item is not None and item in self._broken:
            self._show_broken(item)
        elif item is not None:
            self._stage.show(Shot(item, self._zoomed))
        self._stage.expect([Shot(other) for other in self._expected if other not in self._broken])
        self._follow()

    def _follow(self) -> None:
        """Hand on what the stage decided."""
        if self._studio is not None:
            self._studio.want(self._stage.jobs())
        shown = self._stage.view.last
        if shown is not None and shown.serial != self._reported:
            self._reported = shown.serial
            self.post_message(self.Shown(shown.shot.item, self._stage.view.shown_after * 1000))
        self._note_seen()
        if self._stage.must_compose:
            self.refresh()
            self.call_after_refresh(self._composed)

    def _composed(self) -> None:
        self._stage.composed()
        self._note_seen()

    def _show_broken(self, item: Item) -> None:
        if self._stage.plan.current is not None:
            self._stage.clear()
        if self._seen != item:
            self._seen = item
            self.refresh()
            self.post_message(self.Broken(item, self._broken[item]))

    async def _ask_for_client(self) -> None:
        """Whether tmux is attached to another terminal now: that one has no pictures yet."""
        client = await asyncio.to_thread(tmux_client)
        before, self._client = self._client, client or self._client
        if before and client and client != before:
            self.redraw()

    def _tick(self) -> None:
        self._stage.pump()
        self._follow()

    def _check(self) -> None:
        covered = overlaid(self)
        if covered != self._stage.covered:
            self._stage.cover(covered)
            self._follow()
            if not self._backend.composited:
                self.refresh()

    # -- from other threads ----------------------------------------------------------------

    def _from_thread(self, developed: Developed) -> None:
        self.post_message(self._Developed(developed))

    def on_picture__developed(self, message: _Developed) -> None:
        message.stop()
        job, payload, reason = message.developed.job, message.developed.payload, ""
        if payload is not None:
            self._stage.encoded(job, payload)
        else:
            reason = message.developed.reason
            self._broken[job.shot.item] = reason
        if reason:
            self._step()
        else:
            self._follow()

    def _answered(self, row: int, column: int) -> None:
        """A cursor report, in the app's own task."""
        notes = self._stage.answered(row, column)
        self._follow()
        path: list[DOMNode] = list((self.app.focused or self.app.screen).ancestors_with_self)
        for note in notes:
            along(path, partial(self._drawn, note))

    def _drawn(self, note: Display) -> None:
        self._stage.acknowledge(note)
        self._note_seen()

    def _note_seen(self) -> None:
        seen = self._stage.view.seen
        if seen is not None and seen.item == self._item and self._seen != seen.item:
            self._seen = seen.item
            self.post_message(self.Seen(seen.item, self._stage.view.waited * 1000))

    def _write(self, data: bytes) -> None:
        driver = self.app._driver
        if data and isinstance(driver, PictureDriver):
            driver.write_picture(data)
        elif data and driver is not None:
            driver.write(data.decode())

    # -- for the compositor ----------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        reason = self._broken.get(self._item) if self._item is not None else None
        if reason is not None:
            return words(printable(reason), y, self.size, self.rich_style)
        if self.technique is Technique.NONE:
            name = printable(self._item.path) if self._item else ""
            return words(name, y, self.size, self.rich_style)
        if self._stage.area[2:4] != self.size:
            return Strip.blank(width, self.rich_style)
        return Strip(segments(self._stage.line_of_cells(y)), width)

    def render_lines(self, crop: Region) -> list[Strip]:
        # Past the caches, for pictures change behind the compositor's back, and past all filters
        # and tints: the colour of a placeholder is the name of its image.
        style = self.rich_style
        lines = (self.render_line(y).apply_style(style) for y in crop.line_range)
        return [line.crop(crop.x, crop.right) for line in lines]

    def _others_wrote(self, text: str) -> None:
        """Something else went to the terminal: a picture that lies over text may be gone."""
        if self._backend.composited or self._overdrawn or not touches(text, self._stage.area):
            return
        self._overdrawn = True
        self.call_later(self._repainted)

    def _repainted(self) -> None:
        self._overdrawn = False
        self._check()
        self._stage.repainted()
        self._follow()


def _bytes(size: int) -> str:
    return f"{size / 1024:.0f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"
