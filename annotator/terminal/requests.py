"""A request for a picture, the job to encode it, and the state of the screen that shows it."""

from __future__ import annotations

from typing import NamedTuple

from annotator.images.contrast import PLAIN, Contrast
from annotator.items.refs import Item
from annotator.terminal.backend import Area, Payload, Quality
from annotator.terminal.pacing import Clock


class PictureRequest(NamedTuple):
    """A view of an item: fitted to the area, or its true pixels."""

    item: Item
    zoom: bool = False
    scale: int = 0
    """The pixels of a side of a source pixel, when zoomed; 0 for as many as fit."""
    corner: tuple[int, int] | None = None
    """The source pixel at the top left, when zoomed; None to follow the box."""
    contrast: Contrast = PLAIN


class EncodeJob(NamedTuple):
    """A picture that should be encoded."""

    request: PictureRequest
    area: Area
    quality: Quality


class DisplayNote(NamedTuple):
    """The note that a picture was drawn; `serial` tells a late answer from the current
    request's."""

    serial: int
    request: PictureRequest
    slot: int | None = None
    filled: int = 0
    """The number of the slot's filling."""


class SentNote(NamedTuple):
    """The note that a part of a picture was sent to a slot."""

    slot: int
    filled: int


class AreaNote(NamedTuple):
    """The note that the area was prepared."""

    round: int


class ScreenState:
    """The current request: when it was made, shown and seen. Times are in seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.shown: PictureRequest | None = None
        """The picture whose bytes were written."""
        self.seen: PictureRequest | None = None
        """The picture that the terminal has certainly drawn."""
        self.last: DisplayNote | None = None
        self.payload: Payload | None = None
        self.waited = self.shown_after = 0.0
        """Seconds from the request until the picture was seen, and until its bytes were written."""
        self.serial = 0
        """The number of the request: a late answer to an earlier one counts for nothing."""
        self.stale = False
        """True if the picture on the screen is not the requested one."""
        self._asked_at = self._shown_at = clock()
        self._answered = False

    @property
    def waiting_for(self) -> float:
        """Seconds since the request."""
        return self._clock() - self._asked_at

    @property
    def shown_for(self) -> float:
        """Seconds since the picture appeared."""
        return self._clock() - self._shown_at

    def begin_request(self) -> None:
        """Start the clock of a request, for another picture or the same one."""
        self._asked_at = self._clock()
        self._answered = False
        self.begin_redraw()

    def begin_redraw(self) -> None:
        """Forget that the picture was seen, because it is drawn again."""
        self.seen = None
        self.serial += 1

    def show(
        self, request: PictureRequest, payload: Payload, slot: int | None, filled: int
    ) -> DisplayNote:
        """Return the note for a picture whose bytes are written; its answer says that
        it is seen."""
        if self.shown != request:
            self._shown_at = self._clock()
            self.shown_after = self._shown_at - self._asked_at
        self.shown, self.payload, self.stale = request, payload, False
        self.last = DisplayNote(self.serial, request, slot, filled)
        return self.last

    def hide(self) -> None:
        """Note that no picture is on the screen."""
        self.shown = self.payload = None
        self.stale = False

    def note_seen(self, note: DisplayNote) -> bool:
        """Note what was drawn. Return True if it is the requested picture, for the first time."""
        if note.serial != self.serial or self.seen == note.request:
            return False
        self.seen = note.request
        if not self._answered:  # a second drawing, say after a dialog, is not waited for
            self._answered, self.waited = True, self._clock() - self._asked_at
        return True
