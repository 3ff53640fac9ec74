"""The filmstrip: the last answered pictures, small, in a row under the large one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from annotator.terminal.backend import Area, Backend, Cell, Payload, Quality
from annotator.terminal.picture_cache import BytesLRU
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.tui.picture.encoder import EncodeResult, PictureEncoder
from annotator.tui.picture.strips import cells_to_segments, render_uncached
from annotator.tui.styled_text import clip_end
from annotator.tui.widgets.lines import role_style
from annotator.tui.workers import make_poster

if TYPE_CHECKING:
    from annotator.items.refs import Item
    from annotator.terminal.sheet import LoadCrop
    from annotator.tui.label.walk import PastAnswer, Walk
    from annotator.tui.picture.picture import PictureView

COLUMNS, ROWS = 10, 4
"""Cells of one small picture; its label has a row under it."""
STEP = COLUMNS + 1
QUALITY = Quality("thumbnail", 64, 0.5)
MEMORY = 4 << 20
"""Bytes of small pictures that are kept to be sent again."""


class Filmstrip(Widget):
    """The last answers, the newest at the right; in a walk, those around the one in view.

    Where the terminal keeps pictures, each small one is sent once and then moved by text cells. A
    click on one walks to it.
    """

    @dataclass
    class Chosen(Message):
        """A click on an answer."""

        back: int
        """The number of answers back, from 1."""

    class _Encoded(Message, bubble=False):
        def __init__(self, result: EncodeResult) -> None:
            super().__init__()
            self.result = result

    def __init__(self, walk: Walk, picture: PictureView, load: LoadCrop, **options: Any) -> None:
        """Prepare the strip beside `picture`, whose line to the terminal it shares."""
        super().__init__(**options)
        self._walk, self._picture, self._load = walk, picture, load
        self._post = make_poster(self)
        self._encoder: PictureEncoder | None = None
        self._answers: list[PastAnswer] = []
        self._newest = 0
        """The number of answers that are newer than the last one in the strip."""
        self._payloads: BytesLRU[Item, Payload | None] = BytesLRU(MEMORY)
        self._slots: OrderedDict[Item, int] = OrderedDict()
        self._begun: object = None
        self._contrast = picture.contrast

    @property
    def _backend(self) -> Backend | None:
        return self._picture.thumbnails

    @property
    def _area(self) -> Area:
        return Area(0, 0, COLUMNS, ROWS, self._picture.cell)

    @property
    def is_possible(self) -> bool:
        """True if the terminal shows small pictures at a low price."""
        return self._backend is not None

    def on_unmount(self) -> None:
        """Stop the encoder; the picture frees what the terminal keeps."""
        if self._encoder is not None:
            self._encoder.close()

    def on_resize(self) -> None:
        """Show as many answers as fit."""
        self.show()

    def show(self) -> None:
        """Show the answers as they are now."""
        backend, count = self._backend, (self.size.width - 1) // STEP
        if backend is None or not self.display or count <= 0:
            return
        if self._encoder is None:
            self._encoder = PictureEncoder(
                self._load, backend, lambda result: self._post(self._Encoded(result)), threads=1,
                memory=MEMORY,
            )  # fmt: skip
        count = min(count, backend.slots or count)
        back = self._walk.back
        self._newest = max(min(self._newest, back - 1), back - count, 0)
        answers = self._walk.past(self._newest, count)
        moved = [one.item for one in answers] != [one.item for one in self._answers]
        changed, self._answers = answers != self._answers, answers
        self._send()
        if moved:
            self.refresh()
        elif changed:
            self.refresh(Region(0, ROWS, self.size.width, 1))

    def _send(self) -> None:
        """Encode what is missing, and send what the terminal does not have."""
        backend, encoder = self._backend, self._encoder
        if backend is None or encoder is None:
            return
        if self._contrast != self._picture.contrast:
            self._contrast, self._begun = self._picture.contrast, None
            self._payloads.clear()
        begun = self._picture.round, self._area, backend.background
        if begun != self._begun:  # the terminal has lost all
            self._begun = begun
            self._slots.clear()
            self._picture.send_later(backend.begin(self._area))
        missing = []
        for answer in self._answers:
            if answer.item not in self._payloads:
                request = PictureRequest(answer.item, contrast=self._contrast)
                missing.append(EncodeJob(request, self._area, QUALITY))
            elif (payload := self._payloads.get(answer.item)) is not None and backend.slots:
                self._keep(backend, answer.item, payload)
        encoder.want(missing)

    def _keep(self, backend: Backend, item: Item, payload: Payload) -> None:
        """Send a small picture, in the place of the one unused for longest."""
        if item in self._slots:
            self._slots.move_to_end(item)
            return
        slot = len(self._slots)
        if slot >= backend.slots:
            slot = self._slots.popitem(last=False)[1]
        self._slots[item] = slot
        parts = range(len(payload.parts))
        data = (backend.part(slot, payload, index, self._area) for index in parts)
        self._picture.send_later(b"".join(data))

    def on_filmstrip__encoded(self, message: _Encoded) -> None:
        """Show a small picture; one that cannot be read stays blank."""
        message.stop()
        job, payload = message.result.job, message.result.payload
        if job.area != self._area or job.request.contrast != self._contrast:
            return
        self._payloads.put(job.request.item, payload, payload.size if payload else 1)
        self._send()
        for place, answer in enumerate(self._answers):
            if answer.item == job.request.item:
                self.refresh(Region(self._column(place), 0, COLUMNS, ROWS))

    def _column(self, place: int) -> int:
        return self.size.width - STEP * (place + 1)

    def on_click(self, event: events.Click) -> None:
        """Choose the answer under the pointer."""
        place = (self.size.width - 1 - event.x) // STEP
        if place < len(self._answers):
            self.post_message(self.Chosen(self._newest + place + 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of a region."""
        return render_uncached(self, crop)

    def render_line(self, y: int) -> Strip:
        """Return a row of the small pictures, or their labels."""
        width = self.size.width
        strips, used = [], 0
        for place in reversed(range(len(self._answers))):
            answer, column = self._answers[place], self._column(place)
            strips.append(Strip.blank(column - used, self.rich_style))
            if y < ROWS:
                strips.append(Strip(cells_to_segments(self._cells(answer.item, y)), COLUMNS))
            else:
                style = role_style(self, "key" if answer.in_view else "dim")
                label = clip_end(answer.label, COLUMNS).center(COLUMNS)
                strips.append(Strip([Segment(label, style)]).adjust_cell_length(COLUMNS, style))
            used = column + COLUMNS
        strips.append(Strip.blank(max(0, width - used), self.rich_style))
        return Strip.join(strips)

    def _cells(self, item: Item, row: int) -> list[Cell]:
        backend, payload = self._backend, self._payloads.get(item)
        if backend is None or payload is None or (backend.slots and item not in self._slots):
            return [Cell(" " * COLUMNS)]
        if backend.slots:
            backend.show(self._slots[item], self._area, cells=False)
        return backend.row_cells(row, self._area, payload)
