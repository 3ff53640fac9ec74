"""The picture of an item, in the terminal before the key that asks for it, and its area."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from annotator.images.contrast import Contrast
from annotator.items.refs import Item, make_printable
from annotator.terminal.backend import Backend
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.pacing import Pacer
from annotator.terminal.seen_guard import SeenGuard
from annotator.terminal.sheet import LoadCrop
from annotator.tui.picture.canvas import Canvas
from annotator.tui.picture.encoder import EncodeResult, PictureEncoder
from annotator.tui.picture.pixel_view import MOST_SCALE, PixelView, ViewState
from annotator.tui.picture.strips import cells_to_segments, centred_row
from annotator.tui.widgets.notice import Notice
from annotator.tui.workers import make_poster

NOT_YET = "not on screen yet: key ignored"


class PictureView(Canvas):
    """A widget that shows one item's picture and sends the next ones ahead.

    `load(item, (width, height))` returns the picture; it runs in a worker thread and may raise
    `ImageError`. `show` an item, `expect` the items that will be asked for next.
    """

    DEFAULT_CSS: ClassVar[str] = "PictureView { width: 1fr; height: 1fr; }"
    keeps_zoom = True
    """True if the next item is shown in true pixels, too."""

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
        def __init__(self, developed: EncodeResult) -> None:
            super().__init__()
            self.developed = developed

    def __init__(
        self,
        load: LoadCrop,
        caps: TerminalCapabilities,
        *,
        backend: Backend | None = None,
        line: Pacer | None = None,
        guard: str = "auto",
        lossless: bool = False,
        depth: int = 5,
        id: str | None = None,  # noqa: A002  Textual's name
        classes: str | None = None,
    ) -> None:
        super().__init__(
            caps, backend, line, lossless=lossless, depth=depth, id=id, classes=classes
        )
        self._load = load
        self.guard = SeenGuard(guard, self._line, remote=caps.remote)
        self._post = make_poster(self)
        self._encoder: PictureEncoder | None = None
        self._broken: dict[Item, str] = {}
        self._broken_at = 0.0
        self._item: Item | None = None
        self._seen: Item | None = None
        self._expected: tuple[Item, ...] = ()
        self._keeps = False
        self._view = ViewState()
        self._drag: tuple[float, float] | None = None
        self._reported = 0
        self._face: tuple[object, ...] = ()
        self._strips: dict[int, Strip] = {}

    # -- what the screen asks for ----------------------------------------------------------

    def show(self, item: Item) -> None:
        """Show an item: at once if it is in the terminal, else as soon as it arrives.

        True pixels stay, where `keeps_zoom` says so, and follow the box of the item.
        """
        self._keeps = self._may_keep(item)
        self._view.begin_item(keeps_zoom=self.keeps_zoom)
        self._item, self._seen = item, None
        self._step()

    def _may_keep(self, item: Item) -> bool:
        """Return whether the picture on the screen may stay until that of `item` is there."""
        return False

    def expect(self, items: Sequence[Item]) -> None:
        """Prepare items for the next keys, most wanted first; the previous one, too, for undo."""
        self._expected = tuple(items)
        self._step()

    def clear(self) -> None:
        """Show nothing."""
        self._item = self._seen = None
        self._stage.clear()
        self.refresh()

    # -- the view of the item: true pixels, and contrast -----------------------------------

    def zoom(self) -> bool:
        """Switch between the fitted picture and the source's own pixels; return whether on."""
        zoomed = self._view.toggle_zoom()
        self._renew()
        return zoomed

    def pan(self, right: float, down: float) -> bool:
        """Move the view of true pixels by shares of its size; return whether it moved."""
        view = self.pixels_in_view
        return view is not None and self._move(view, view.panned(right, down))

    def rescale(self, by: int) -> int:
        """Make the squares of true pixels larger or smaller by `by`; return their side, or 0."""
        view, room = self.pixels_in_view, self._stage.area.size
        if view is None or not all(room):
            return 0
        scale = max(1, min(view.scale + by, MOST_SCALE, *room))
        self._move(view, view.scaled(scale, room))
        return scale

    def _move(self, before: PixelView, view: PixelView) -> bool:
        moved = self._view.move(before, view)
        if moved:
            self._renew()
        return moved

    @property
    def pixels_in_view(self) -> PixelView | None:
        """The true pixels in view; None if others are shown, or they are not known yet."""
        return self._view.pixels(self._item)

    @property
    def zoomed(self) -> bool:
        """True while true pixels are shown."""
        return self._view.zoomed

    @property
    def contrast(self) -> Contrast:
        """The contrast of this picture and the next ones."""
        return self._view.contrast

    @contrast.setter
    def contrast(self, contrast: Contrast) -> None:
        self._view.contrast = contrast
        self._renew()

    @property
    def looks(self) -> str:
        """The way the item is shown, such as `true pixels x3 · contrast crop`; "" for as it is."""
        return self._view.describe(self._item)

    def _renew(self) -> None:
        """Show the item in another way; the picture before stays until that is there."""
        self._keeps = True
        self._step()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag true pixels."""
        if self.zoomed and self.keeps_zoom:
            self._drag = event.screen_x, event.screen_y
            self.capture_mouse()
            event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move true pixels with the pointer."""
        view = self.pixels_in_view
        if self._drag is None or view is None:
            return
        wide, high = self._stage.area.cell
        right = (self._drag[0] - event.screen_x) * wide / view.scale
        down = (self._drag[1] - event.screen_y) * high / view.scale
        if max(abs(right), abs(down)) >= 1:
            self._drag = event.screen_x, event.screen_y
            self._move(view, view.moved(right, down))
        event.stop()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End dragging."""
        if self._drag is not None:
            self._drag = None
            self.release_mouse()
            event.stop()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Enlarge the squares of true pixels."""
        self._scroll(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Shrink the squares of true pixels."""
        self._scroll(event, -1)

    def _scroll(self, event: events.MouseEvent, by: int) -> None:
        if self.zoomed and self.keeps_zoom:
            self.rescale(by)
            event.stop()

    @property
    def item(self) -> Item | None:
        """The item that was asked for last."""
        return self._item

    @property
    def seen(self) -> Item | None:
        """The item that the terminal has certainly drawn: the only one a key can mean."""
        return self._seen

    def accepts(self, item: Item) -> bool:
        """Return whether the key that is handled now, or a click, can be meant for `item`.

        Never before the bytes of its picture were written, or before the first picture is drawn;
        see `SeenGuard` for the rest.
        """
        if self._item != item:
            return False
        return self._admits(self.written_at(item), drawn=self._seen == item)

    def typed_on(self, painted_at: float) -> bool:
        """Return whether the key that is handled now, or a click, came after some text was there.

        On a guarded line the terminal has the text a round trip after it was painted.
        """
        trip = self._line.rtt if self.guard.strict else 0.0
        return self._admits(painted_at + trip, drawn=True)

    @property
    def refusal(self) -> str:
        """The words about a key that is not accepted."""
        queue = getattr(self.app, "key_queue", None)
        pasted = queue is not None and queue.pasted
        return "pasted, or typed all at once: ignored" if pasted else NOT_YET

    def _admits(self, since: float | None, *, drawn: bool) -> bool:
        queue = getattr(self.app, "key_queue", None)
        typed_at = math.inf if queue is None else queue.typed_at
        pasted = queue is not None and queue.pasted
        return self.guard.admits(typed_at, since, drawn=drawn, pasted=pasted)

    def written_at(self, item: Item) -> float | None:
        """Return when the picture of `item`, or the reason for none, came on the screen.

        The time is that of `time.monotonic`; None before that.
        """
        if item in self._broken:
            return self._broken_at if self._seen == item else None
        state = self._stage.state
        if state.shown is None or state.shown.item != item or self._stage.must_compose:
            return None
        return time.monotonic() - state.shown_for

    @property
    def technique(self) -> Technique:
        """The way that pictures are drawn."""
        return self._backend.technique

    @property
    def line(self) -> Pacer:
        """The pacer of the line to the terminal, shared by all pictures."""
        return self._line

    @property
    def ready(self) -> int:
        """The number of expected pictures that need nothing but a key."""
        return self._stage.ready

    @property
    def status(self) -> str:
        """The way the item is shown, the picture's bytes, the pictures ready, the milliseconds from
        key to drawn: a footer."""
        view = self._stage.state
        parts = [self.looks] if self.looks else []
        parts += [_bytes(view.payload.size)] if view.payload is not None else []
        parts.append(f"ready {self._stage.ready}")
        if self._seen is not None and self._line.fences:
            parts.append(f"{view.waited * 1000:.0f} ms")
        return " · ".join(parts)

    # -- life ------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Start the encoder."""
        self._encoder = PictureEncoder(self._load, self._backend, self._from_thread)
        self.guard.silent = not self._line.fences and not self.app.is_headless
        self.set_interval(0.1, self._tick)

    def on_unmount(self) -> None:
        """Stop the encoder."""
        if self._encoder is not None:
            self._encoder.close()

    def _unseen(self) -> None:
        self._seen = None

    def _unopened(self) -> None:
        self.guard.close()

    # -- one step: what is wanted, what is known, what is written --------------------------

    def _step(self) -> None:
        """Update the stage and the encoder after any change."""
        if not self.is_mounted or self._encoder is None or self._suspended:
            return
        item = self._item
        if item is not None and item in self._broken:
            self._show_broken(item)
        elif item is not None:
            self._stage.show(self._view.request(item, current=True), keep=self._keeps)
        self._stage.expect(
            [self._view.request(other) for other in self._expected if other not in self._broken]
        )
        self._follow()

    def _follow(self) -> None:
        """Pass on what the stage has decided."""
        if self._encoder is not None:
            self._encoder.want(self._stage.jobs())
        shown = self._stage.state.last
        if shown is not None and shown.serial != self._reported:
            self._reported = shown.serial
            if self._seen != shown.request.item:  # else the item is in view, in another contrast
                after = self._stage.state.shown_after * 1000
                self.post_message(self.Shown(shown.request.item, after))
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
            self._seen, self._broken_at = item, time.monotonic()
            self.guard.open(self._broken_at)
            self.refresh()
            self.post_message(self.Broken(item, self._broken[item]))

    def _tick(self) -> None:
        if self._suspended:
            return
        self._stage.send_next()
        self._follow()

    # -- from other threads ----------------------------------------------------------------

    def _from_thread(self, developed: EncodeResult) -> None:
        self._post(self._Developed(developed))

    def on_picture_view__developed(self, message: _Developed) -> None:
        """Show an encoded picture, or note that it is broken."""
        message.stop()
        job, payload, reason = message.developed.job, message.developed.payload, ""
        if payload is not None:
            self._view.note(job.request, message.developed.view, message.developed.note)
            self._stage.encoded(job, payload)
        else:
            reason = message.developed.reason
            self._broken[job.request.item] = reason
        if reason:
            self._step()
        else:
            self._follow()

    def _note_seen(self) -> None:
        seen = self._stage.state.seen
        if seen is not None and seen.item == self._item and self._seen != seen.item:
            self._seen = seen.item
            self.guard.open(time.monotonic())
            self.post_message(self.Seen(seen.item, self._stage.state.waited * 1000))

    # -- for the compositor ----------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Return one row of the widget."""
        width = self.size.width
        reason = self._broken.get(self._item) if self._item is not None else None
        if reason is not None:
            return centred_row(make_printable(reason), y, self.size, self.rich_style)
        if self.technique is Technique.NONE:
            name = make_printable(self._item.path) if self._item else ""
            return centred_row(name, y, self.size, self.rich_style)
        if self._stage.area[2:4] != self.size:
            return Strip.blank(width, self.rich_style)
        return self._cells(y)

    def _cells(self, row: int) -> Strip:
        """Return one row of the picture; it is built again only after a change."""
        stage, backend = self._stage, self._backend
        face = stage.area, backend.background, backend.named, stage.half_cell_payload
        if face != self._face:
            self._face, self._strips = face, {}
        if row not in self._strips:
            cells = cells_to_segments(self._stage.row_cells(row))
            self._strips[row] = Strip(cells, self.size.width)
        return self._strips[row]


def _bytes(size: int) -> str:
    return f"{size / 1024:.0f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


class PictureArea(Vertical):
    """A container that shows an item, with the next ones and the last one at hand, or a notice."""

    def __init__(self, picture: PictureView, **options: Any) -> None:
        super().__init__(**options)
        self.picture = picture
        self._notice = Notice(id="notice")
        self._before: Item | None = None

    def compose(self) -> ComposeResult:
        """Lay out the picture and the notice; one of them is hidden."""
        yield self.picture
        yield self._notice

    def show(self, item: Item, ahead: Sequence[Item]) -> bool:
        """Show an item; return whether it is another one than before."""
        changed = item != self.picture.item
        if changed:
            self._before = self.picture.item
            self.picture.show(item)
        self._turn(to_picture=True)
        before = [self._before] if self._before not in (None, item) else []
        self.picture.expect([*ahead, *(one for one in before if one is not None)])
        return changed

    def show_notice(self, heading: str, paragraphs: Sequence[tuple[str, str]]) -> None:
        """Show a notice in place of the picture."""
        if self.picture.item is not None:
            self.picture.clear()
        self._turn(to_picture=False)
        self._notice.show(heading, paragraphs)

    def _turn(self, *, to_picture: bool) -> None:
        if self._notice.display == to_picture:
            self.picture.display, self._notice.display = to_picture, not to_picture
