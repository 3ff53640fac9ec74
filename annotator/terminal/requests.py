"""A request for a picture, the job to encode it, and the state of the screen that shows it."""

from __future__ import annotations

from typing import NamedTuple

from annotator.items.refs import Item
from annotator.terminal.backend import Area, Payload, Quality
from annotator.terminal.pacing import Clock


class PictureRequest(NamedTuple):
    """One way to see an item: fitted to the area, or its true pixels."""

    item: Item
    zoom: bool = False


class EncodeJob(NamedTuple):
    """A picture that should be encoded."""

    shot: PictureRequest
    area: Area
    quality: Quality


class DisplayNote(NamedTuple):
    """A picture was drawn; `serial` tells a late answer from the current request's."""

    serial: int
    shot: PictureRequest
    slot: int | None = None
    filled: int = 0
    """Which filling of the slot it shows."""


class SentNote(NamedTuple):
    """Some of a picture was sent to a slot."""

    slot: int
    filled: int


class AreaNote(NamedTuple):
    """The area was prepared."""

    round: int


class ScreenState:
    """One request after the other: asked for, shown, seen. Times in seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.shown: PictureRequest | None = None
        """What was written to the screen."""
        self.seen: PictureRequest | None = None
        """What the terminal has certainly drawn."""
        self.last: DisplayNote | None = None
        self.payload: Payload | None = None
        self.waited = self.shown_after = 0.0
        """From the request until the picture was seen, and until its bytes were written."""
        self.serial = 0
        """Numbers the requests: a late answer to an earlier one counts for nothing."""
        self.stale = False
        """Whether the picture on the screen is not the one that was asked for."""
        self._asked_at = self._shown_at = clock()
        self._answered = False

    @property
    def waiting_for(self) -> float:
        """Since the request."""
        return self._clock() - self._asked_at

    @property
    def shown_for(self) -> float:
        """Since the picture appeared."""
        return self._clock() - self._shown_at

    def begin_request(self) -> None:
        """A picture is asked for, or the same one anew."""
        self._asked_at = self._clock()
        self._answered = False
        self.begin_redraw()

    def begin_redraw(self) -> None:
        """What was seen no longer counts."""
        self.seen = None
        self.serial += 1

    def show(
        self, shot: PictureRequest, payload: Payload, slot: int | None, filled: int
    ) -> DisplayNote:
        """A picture's bytes are written; the answer to the returned note says that it is seen."""
        if self.shown != shot:
            self._shown_at = self._clock()
            self.shown_after = self._shown_at - self._asked_at
        self.shown, self.payload, self.stale = shot, payload, False
        self.last = DisplayNote(self.serial, shot, slot, filled)
        return self.last

    def hide(self) -> None:
        self.shown = self.payload = None
        self.stale = False

    def note_seen(self, note: DisplayNote) -> bool:
        """The terminal drew something. True when it is what was asked for, for the first time."""
        if note.serial != self.serial or self.seen == note.shot:
            return False
        self.seen = note.shot
        if not self._answered:  # drawn once more, after a dialog say, it was not waited for
            self._answered, self.waited = True, self._clock() - self._asked_at
        return True
