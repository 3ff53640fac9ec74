"""The small values that the stage, its plan and the studio pass around."""

from __future__ import annotations

from typing import NamedTuple

from annotator.items.refs import Item
from annotator.terminal.backend import Area, Quality


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
