"""The small values that the stage, its plan and the studio pass around."""

from __future__ import annotations

from typing import NamedTuple

from annotator.items.refs import Item
from annotator.terminal.backend import Area, Quality


class Shot(NamedTuple):
    """One way to see an item: fitted to the area, or its true pixels."""

    item: Item
    zoom: bool = False


class Job(NamedTuple):
    """A picture that should be encoded."""

    shot: Shot
    area: Area
    quality: Quality


class Display(NamedTuple):
    """A picture was drawn; `serial` tells a late answer from the current request's."""

    serial: int
    shot: Shot
    slot: int | None = None
    filled: int = 0
    """Which filling of the slot it shows."""


class Sent(NamedTuple):
    """Some of a picture was sent to a slot."""

    slot: int
    filled: int


class Begun(NamedTuple):
    """The area was prepared."""

    round: int
