"""What the terminal can do, and which technique follows from it, with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from annotator.errors import TerminalError
from annotator.terminal.replies import TerminalReplies

GRAPHICS = ("auto", "kitty", "sixel", "iterm", "halfcell", "none")
"""The choices of `--graphics` and `ANNOTATOR_GRAPHICS`."""


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


def requested_graphics(graphics: str, env: Mapping[str, str]) -> str:
    """The choice that counts: the flag, then ANNOTATOR_GRAPHICS, then auto.

    Raises `TerminalError` for a word that is none of `GRAPHICS`.
    """
    set_for_all = env.get("ANNOTATOR_GRAPHICS", "")
    choice = set_for_all if graphics == "auto" and set_for_all else graphics
    if choice not in GRAPHICS:
        source = "ANNOTATOR_GRAPHICS" if choice == set_for_all else "--graphics"
        raise TerminalError(f"{source} is {choice!r}; choose one of {', '.join(GRAPHICS)}")
    return choice


def choose_technique(
    answers: TerminalReplies, multiplexer: str = "", tmux: Tmux | None = None
) -> tuple[Technique, str]:
    """The best technique for a terminal, and why.

    The name decides before the answers do: Konsole, WezTerm and iTerm2 say OK to a kitty query
    and yet have neither placeholders nor frames.
    """
    if multiplexer in ("screen", "mosh"):
        return Technique.HALFCELL, f"{multiplexer} passes no pictures on"
    named = _by_name(answers)
    if multiplexer == "tmux":
        return _inside_tmux(named, tmux or Tmux())
    if named is not None:
        return named
    if answers.kitty:
        return Technique.CLASSIC, "answers a kitty graphics query"
    if 4 in answers.attributes:
        return Technique.SIXEL, "reports sixel in its device attributes"
    if not answers.closed:
        return Technique.HALFCELL, "did not answer what it can do"
    return Technique.HALFCELL, "reports no picture protocol"


def _by_name(answers: TerminalReplies) -> tuple[Technique, str] | None:
    name, number = answers.version.lower(), version_number(answers.version)
    if name.startswith("kitty"):
        new = number >= (0, 28)
        return (
            (Technique.FRAMES, "kitty since 0.28 has placeholders and frames")
            if new
            else (Technique.CLASSIC, "kitty before 0.28 has no placeholders")
        )
    if name.startswith("ghostty"):
        return Technique.PLACEHOLDERS, "Ghostty has placeholders and no frames"
    if name.startswith(("wezterm", "iterm2", "konsole", "mintty")):
        return Technique.ITERM, "shows iTerm2's inline images, as JPEG the smallest payload"
    if name.startswith("xterm.js") and 4 in answers.attributes:
        return Technique.ITERM, "xterm.js with images enabled shows iTerm2's inline images"
    return None


def _inside_tmux(named: tuple[Technique, str] | None, tmux: Tmux) -> tuple[Technique, str]:
    """Inside tmux placeholders stay where they belong, for they are text, and its own sixels."""
    placed = named is not None and named[0] in (Technique.FRAMES, Technique.PLACEHOLDERS)
    if named is not None and placed and tmux.passthrough:
        return named
    if tmux.sixel:
        return Technique.SIXEL, "tmux draws sixel in a terminal that knows it"
    if not tmux.passthrough:
        return Technique.HALFCELL, "tmux keeps pictures from the terminal"
    return (
        Technique.HALFCELL,
        "the terminal around tmux has no pictures that would follow its panes",
    )


FORCED = {
    "kitty": "kitty graphics",
    "sixel": "sixel",
    "iterm": "iTerm2 inline images",
    "halfcell": "half cells",
    "none": "no pictures",
}


def force_technique(choice: str, found: Technique) -> Technique:
    """The technique for a choice other than auto; the family's best that the terminal has."""
    if choice == "kitty":
        return found if found.stores else Technique.CLASSIC
    return Technique(choice)
