"""What the terminal can do, and which technique follows from it, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Technique(StrEnum):
    """How pictures reach the screen, best first."""

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
        """Whether the terminal keeps pictures, so that they can be sent ahead."""
        return self.value.startswith("kitty")


@dataclass(frozen=True, slots=True)
class Tmux:
    """The tmux between this program and the terminal."""

    version: str = ""
    passthrough: bool = False
    sixel: bool = False
    """Whether it found sixel in the terminal around it. It reports sixel itself in any case."""

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version; (0, 0) where it is unknown."""
        return version_number(self.version)


@dataclass(frozen=True, slots=True)
class TerminalCapabilities:
    """The terminal as found before the app starts. `TerminalCapabilities(Technique.HALFCELL)` is a fair default."""

    technique: Technique
    reason: str = ""
    terminal: str = ""
    """Name and version as the terminal gives them, e.g. `kitty(0.41.1)`; empty where unknown."""
    cell: tuple[int, int] = (8, 16)
    """Width and height of a cell in pixels."""
    sixel_size: tuple[int, int] = (1000, 1000)
    registers: int = 256
    sync: bool = False
    mouse_pixels: bool = False
    truecolor: bool = True
    shared_memory: bool = False
    """The terminal reads memory of this machine: there is no line between them."""
    answers: bool = False
    """It answers questions, so that pictures can be paced and fenced."""
    multiplexer: str = ""
    """`tmux`, `screen`, `mosh`, or empty."""
    tmux: Tmux = Tmux()
    remote: bool = False
    rtt: float = 0.0
    """Round trip of the first question in seconds."""
    typed: str = ""
    """Keys that were typed during the probe; nothing of them is lost."""

    @property
    def wrapped(self) -> bool:
        """Whether graphics must be wrapped to pass through tmux."""
        return self.multiplexer == "tmux" and self.technique.stores

    @property
    def environment(self) -> dict[str, str]:
        """Variables to set before Textual is imported; it reads them then and never again."""
        found = {"ESCDELAY": "400"} if self.rtt > 0.1 else {}
        if self.truecolor or self.technique.stores:
            found["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
        return found


def version_number(text: str) -> tuple[int, int]:
    """The first `major.minor` in a text, (0, 0) where there is none: `kitty(0.41.1)` is (0, 41)."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
