"""The choice of a technique, and of the backend that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from annotator.errors import TerminalError
from annotator.terminal.caps import Technique, TerminalCapabilities, Tmux, version_number
from annotator.terminal.replies import TerminalReplies

if TYPE_CHECKING:
    from annotator.terminal.backend import Backend, Colour

GRAPHICS = ("auto", "kitty", "sixel", "iterm", "halfcell", "none")
"""The choices of `--graphics` and `ANNOTATOR_GRAPHICS`."""


def requested_graphics(graphics: str, env: Mapping[str, str]) -> str:
    """Return the choice that counts: the flag, then ANNOTATOR_GRAPHICS, then auto.

    Raises `TerminalError` for a word that is not one of `GRAPHICS`.
    """
    set_for_all = env.get("ANNOTATOR_GRAPHICS", "")
    choice = set_for_all if graphics == "auto" and set_for_all else graphics
    if choice not in GRAPHICS:
        source = "ANNOTATOR_GRAPHICS" if choice == set_for_all else "--graphics"
        raise TerminalError(f"{source} is {choice!r}. Choose one of {', '.join(GRAPHICS)}.")
    return choice


def choose_technique(
    answers: TerminalReplies, multiplexer: str = "", tmux: Tmux | None = None
) -> tuple[Technique, str]:
    """Return the best technique for a terminal, and the reason.

    The name decides before the answers do: Konsole, WezTerm and iTerm2 say OK to a kitty query and
    yet have neither placeholders nor frames.
    """
    if multiplexer in ("screen", "mosh"):
        return Technique.HALFCELL, f"{multiplexer} does not pass pictures on"
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
        return Technique.HALFCELL, "did not answer the questions"
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
    """Return the best technique inside tmux.

    Placeholders stay in their pane because they are text; tmux places its own sixels.
    """
    placed = named is not None and named[0] in (Technique.FRAMES, Technique.PLACEHOLDERS)
    if named is not None and placed and tmux.passthrough:
        return named
    if tmux.sixel:
        return Technique.SIXEL, "tmux draws sixel in a terminal that knows it"
    if not tmux.passthrough:
        return Technique.HALFCELL, "tmux keeps pictures from the terminal"
    return (
        Technique.HALFCELL,
        "the terminal around tmux has no pictures that follow its panes",
    )


FORCED = {
    "kitty": "kitty graphics",
    "sixel": "sixel",
    "iterm": "iTerm2 inline images",
    "halfcell": "half cells",
    "none": "no pictures",
}
"""The words for each choice other than auto."""


def force_technique(choice: str, found: Technique) -> Technique:
    """Return the technique for a choice other than auto; of the kitty family, the best there is."""
    if choice == "kitty":
        return found if found.stores else Technique.CLASSIC
    return Technique(choice)


def backend_for(caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> Backend:
    """Return the backend of the technique; `background` fills the margins beside a picture."""
    # Imported here: probing the terminal needs neither NumPy nor Pillow.
    from annotator.terminal import kitty, redrawn, xterm_js

    if caps.technique is Technique.CLASSIC and caps.terminal.lower().startswith("xterm.js"):
        return xterm_js.XtermJsBackend(caps, background)
    if caps.technique is Technique.FRAMES and caps.shared_memory and not caps.wrapped:
        return kitty.SharedFrameBackend(caps, background)
    backends: dict[Technique, Callable[[TerminalCapabilities, Colour], Backend]] = {
        Technique.FRAMES: kitty.FrameBackend,
        Technique.PLACEHOLDERS: kitty.PlaceholderBackend,
        Technique.CLASSIC: kitty.ClassicBackend,
        Technique.SIXEL: redrawn.SixelBackend,
        Technique.ITERM: redrawn.ItermBackend,
        Technique.HALFCELL: redrawn.HalfCellBackend,
        Technique.NONE: redrawn.NoPictureBackend,
    }
    return backends[caps.technique](caps, background)


SLOW = 0.04
"""Round trip in seconds from which on a line is slow."""


def thumbnail_backend(caps: TerminalCapabilities) -> Backend | None:
    """Return the backend for small pictures beside the large one; None if they cost too much.

    A kitty keeps them, and text cells place them. Other terminals draw them as text, as half cells,
    if no slow line lies between.
    """
    from annotator.terminal import kitty, redrawn

    if caps.technique in (Technique.FRAMES, Technique.PLACEHOLDERS):
        return kitty.PlaceholderBackend(caps)
    if caps.technique is Technique.NONE or caps.remote or caps.rtt >= SLOW:
        return None
    return redrawn.HalfCellBackend(caps)
