"""The capabilities of a terminal, as it was found before the app starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Technique(StrEnum):
    """A technique to show pictures; the best ones come first."""

    FRAMES = "kitty-frames"
    """Frames of one image behind constant placeholders: a picture ahead shows with 20 bytes."""
    PLACEHOLDERS = "kitty-placeholders"
    """One image a picture, placeholder cells rewritten to show it."""
    CLASSIC = "kitty-classic"
    """One image a picture, placed at the cursor."""
    SIXEL = "sixel"
    ITERM = "iterm"
    """iTerm2's inline images, as JPEG."""
    HALFCELL = "halfcell"
    NONE = "none"

    @property
    def stores(self) -> bool:
        """True if the terminal keeps pictures, so that they can be sent ahead."""
        return self.value.startswith("kitty")


@dataclass(frozen=True, slots=True)
class Tmux:
    """The tmux between this program and the terminal."""

    version: str = ""
    passthrough: bool = False
    sixel: bool = False
    """True if tmux found sixel in the terminal around it. It reports sixel itself in any case."""

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version; (0, 0) if it is unknown."""
        return version_number(self.version)


@dataclass(frozen=True, slots=True)
class KittyVariant:
    """The ways in which a terminal differs from kitty's protocol as it first was."""

    third_mark: bool = False
    """True if each placeholder cell needs the mark of the image id's highest byte."""
    transient: bool = False
    """True if it can keep pictures off the disk (`N=1`)."""
    retains: bool = False
    """True if deleting a picture only hides it: its pixels stay until its id is used again."""


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """A question to the terminal, its answer, and what follows from it."""

    topic: str
    question: str
    answer: str
    conclusion: str


@dataclass(frozen=True, slots=True)
class TerminalCapabilities:
    """The terminal as found. `TerminalCapabilities(Technique.HALFCELL)` is a fair default."""

    technique: Technique
    reason: str = ""
    terminal: str = ""
    """Name and version as the terminal gives them, e.g. `kitty(0.41.1)`; empty if unknown."""
    cell: tuple[int, int] = (8, 16)
    """Width and height of a cell in pixels."""
    sixel_size: tuple[int, int] = (1000, 1000)
    registers: int = 256
    sync: bool = False
    mouse_pixels: bool = False
    truecolor: bool = True
    shared_memory: bool = False
    """True if the terminal reads this machine's memory: no line lies between them."""
    answers: bool = False
    """True if it answers questions, so that pictures can be paced and fenced."""
    multiplexer: str = ""
    """`tmux`, `screen`, `mosh`, or empty."""
    tmux: Tmux = Tmux()
    remote: bool = False
    rtt: float = 0.0
    """Round trip of the first question in seconds."""
    typed: str = ""
    """Keys that were typed during the probe; none of them is lost."""
    variant: KittyVariant = KittyVariant()
    findings: tuple[ProbeFinding, ...] = ()
    """The questions on which the technique was chosen."""

    @property
    def wrapped(self) -> bool:
        """True if graphics must be wrapped to pass through tmux."""
        return self.multiplexer == "tmux" and self.technique.stores

    @property
    def environment(self) -> dict[str, str]:
        """Variables to set before Textual is imported, which reads them only then."""
        found = {"ESCDELAY": "400"} if self.rtt > 0.1 else {}
        if self.truecolor or self.technique.stores:
            found["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
        return found


def version_number(text: str) -> tuple[int, int]:
    """Return the first `major.minor` in a text, else (0, 0): `kitty(0.41.1)` is (0, 41)."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
