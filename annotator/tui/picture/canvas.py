"""A widget's place in the terminal, and the stage that fills it with pictures."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from textual.dom import DOMNode
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from annotator.terminal.backend import Area, Backend
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.choose import backend_for, thumbnail_backend
from annotator.terminal.pacing import SLACK, Pacer, QualityBudget
from annotator.terminal.probe import cell_size
from annotator.terminal.redrawn import overpaints_area
from annotator.terminal.requests import DisplayNote
from annotator.terminal.stage import Stage
from annotator.terminal.transport import tmux_client, wrap_for_tmux
from annotator.tui.picture.driver import PictureDriver
from annotator.tui.picture.strips import call_after_path, is_overlaid, render_uncached

DRAWN_SLACK = 0.12
"""Seconds of output that may queue if every picture is drawn anew: the annotator waits for it."""
CLIENT = 2.0
"""Seconds between checks of the terminal that tmux is attached to."""


class Canvas(Widget):
    """A widget for pictures: its stage knows its place, its covers and the terminal's replies.

    Subclasses request pictures (`_step`) and follow the decisions of the stage (`_follow`).
    """

    def __init__(
        self,
        caps: TerminalCapabilities,
        backend: Backend | None,
        line: Pacer | None,
        *,
        lossless: bool,
        depth: int,
        id: str | None,  # noqa: A002  Textual's name
        classes: str | None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._caps = caps
        self._backend = backend or backend_for(caps)
        wrap = wrap_for_tmux if caps.wrapped else bytes
        self._line = line or Pacer(
            time.monotonic,
            caps.answers,
            wrap,
            caps.rtt,
            patience=1.5 if caps.wrapped else 5.0,
            slack=SLACK if self._backend.slots else DRAWN_SLACK,
            lossy=caps.wrapped,
        )
        budget = QualityBudget(
            self._backend.ladder,
            self._line,
            time.monotonic,
            stores=self._backend.slots > 0,
            lossless=lossless,
        )
        self.thumbnails = thumbnail_backend(caps)
        """The backend for small pictures beside this one; None if there are none."""
        self._stage = Stage(
            self._backend, self._line, self._write, time.monotonic,
            budget=budget, depth=depth, beside=self.thumbnails,
        )  # fmt: skip
        self._overdrawn = False
        self._client = ""
        self._suspended = False
        self._before: Canvas | None = None
        """The canvas that had the terminal until this one was mounted."""

    def _step(self) -> None:
        """Update the stage after any change."""
        raise NotImplementedError

    def _follow(self) -> None:
        """Pass on what the stage has decided."""
        raise NotImplementedError

    def _unseen(self) -> None:
        """Note that the screen is drawn anew: nothing on it counts as seen."""
        raise NotImplementedError

    def _unopened(self) -> None:
        """Note that the program comes back to a terminal that it had left."""

    def on_mount(self) -> None:
        """Take over the terminal, and follow the layout, the theme and tmux."""
        driver = self.app._driver
        if isinstance(driver, PictureDriver):
            self._before = driver.canvas if isinstance(driver.canvas, Canvas) else None
            if self._before is not None:
                self._before.suspend()
            self._take(driver)
            self.call_after_refresh(driver.deliver_typed)
        else:
            self._line.fences = False
        if self._caps.wrapped:
            self.call_later(self._ask_for_client)
            self.set_interval(CLIENT, self._ask_for_client)
        self.watch(self.screen, "stack_updates", self._check, init=False)
        self.screen.screen_layout_refresh_signal.subscribe(self, self._relaid)
        self.app.app_resume_signal.subscribe(self, self._resumed)
        self.app.theme_changed_signal.subscribe(self, self._repaper)
        self._repaper()

    def on_unmount(self) -> None:
        """Give the terminal back to the previous canvas."""
        self._write(self._stage.end())
        driver = self.app._driver
        if isinstance(driver, PictureDriver) and driver.canvas is self:
            driver.canvas = None
            if self._before is not None and self._before.is_mounted:
                self._before.resume_drawing(driver)

    def _take(self, driver: PictureDriver) -> None:
        """Take the terminal's answers."""
        driver.attach(
            self,
            on_answer=self._answered,
            on_failure=self._failed,
            on_text=self._others_wrote,
            on_farewell=self._stage.end,
            on_drain=lambda: (self._line.fence_count, min(2.0, 0.1 + 3 * self._line.rtt)),
        )

    def suspend(self) -> None:
        """Free the pictures in the terminal, and write nothing until `resume_drawing`."""
        self._write(self._stage.end())
        self._line.forget()
        self._suspended = True

    def resume_drawing(self, driver: PictureDriver) -> None:
        """Take the terminal back and draw everything again."""
        self._suspended = False
        self._line.forget()
        self._take(driver)
        self._repaper()
        self._place()
        self.redraw()

    def on_resize(self, event: Resize) -> None:
        """Follow the new size, with a short wait if pictures are on the screen."""
        if self._stage.area.usable:
            self.set_timer(0.1, self._place)
        else:
            self._place()

    def _relaid(self, screen: object) -> None:
        self._place()
        self._check()

    def _repaper(self, theme: object = None) -> None:
        """Draw margins in the widget's own colour, whatever the theme."""
        if self._suspended:
            return
        before = self._backend.background
        self._stage.set_background(self.background_colors[1].rgb)
        if before != self._backend.background:
            self._unseen()
            self.refresh()
            self._step()

    def _resumed(self, app: object) -> None:
        self._unopened()
        self.redraw()

    def _place(self) -> None:
        if not self.is_mounted or self._suspended:
            return
        region, size = self.content_region, self.app.size
        self._line.resize(size.width, size.height)
        area = Area(*region, self.cell)
        # Another size of screen moves a picture by one row only on its way: wait for the layout.
        if region.right <= size.width and region.bottom <= size.height:
            before = self._stage.area
            self._stage.place(area)
            if area != before:
                self._unseen()
                self.refresh()
                self._step()
                if self._backend.clears_screen and before.usable:
                    self.app.refresh()

    @property
    def cell_pixels(self) -> tuple[int, int] | None:
        """Width and height of a cell in pixels; None if the terminal does not say."""
        driver = self.app._driver
        return cell_size(driver.fileno) if isinstance(driver, PictureDriver) else None

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a cell in pixels, assumed if the terminal does not say."""
        return self.cell_pixels or self._caps.cell

    @property
    def round(self) -> int:
        """The number of times that the terminal had to be sent everything again."""
        return self._stage.round

    def send_later(self, data: bytes) -> None:
        """Send something beside the picture once no picture of the next keys is missing."""
        self._stage.send_later(data)

    def redraw(self) -> None:
        """Send everything anew, as to a terminal that was reset or is another one."""
        if self._suspended:
            return
        self._unseen()
        self._stage.redraw()
        self.refresh()
        self._step()

    async def _ask_for_client(self) -> None:
        """Redraw if tmux is attached to another terminal now, which has no pictures yet."""
        client = await asyncio.to_thread(tmux_client)
        before, self._client = self._client, client or self._client
        if before and client and client != before:
            self.redraw()

    def _check(self) -> None:
        covered = is_overlaid(self)
        if covered != self._stage.covered:
            self._stage.set_covered(covered)
            self._follow()
            if not self._backend.composited:
                self.refresh()

    def _answered(self, row: int, column: int) -> None:
        """Take a cursor report, in the app's own task."""
        notes = self._stage.answered(row, column)
        self._follow()
        path: list[DOMNode] = list((self.app.focused or self.app.screen).ancestors_with_self)
        queue = getattr(self.app, "key_queue", None)
        for note in notes:
            drawn = partial(call_after_path, path, partial(self._drawn, note))
            if queue is None:
                drawn()
            else:
                queue.call_after_keys(drawn)

    def _failed(self, image: int) -> None:
        """Take the report that the terminal lacks an image, in the app's own task."""
        before = self._stage.covered
        self._stage.failed(image)
        self._follow()
        if self._stage.covered != before:
            self.refresh()

    def _drawn(self, note: DisplayNote) -> None:
        self._stage.note_drawn(note)
        self._follow()

    def _write(self, data: bytes) -> None:
        driver = self.app._driver
        if self._suspended:
            return
        if data and isinstance(driver, PictureDriver):
            driver.write_picture(data)
        elif data and driver is not None:
            driver.write(data.decode())

    # -- for the compositor ----------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of a region."""
        return render_uncached(self, crop)

    def _others_wrote(self, text: str) -> None:
        """Redraw a picture that other output may have painted over."""
        if (
            self._backend.composited
            or self._overdrawn
            or not overpaints_area(text, self._stage.area)
        ):
            return
        self._overdrawn = True
        self.call_later(self._repainted)

    def _repainted(self) -> None:
        self._overdrawn = False
        self._check()
        self._stage.repainted()
        self._follow()
