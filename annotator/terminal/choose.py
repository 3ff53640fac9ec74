"""The backend for what the terminal can do."""

from __future__ import annotations

from collections.abc import Callable

from annotator.terminal.backend import Backend, Colour
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.cells import HalfCellBackend
from annotator.terminal.iterm import ItermBackend
from annotator.terminal.kitty import ClassicBackend, FrameBackend, PlaceholderBackend
from annotator.terminal.redrawn import NoPictureBackend
from annotator.terminal.shared_frames import SharedFrameBackend
from annotator.terminal.sixel import SixelBackend

BACKENDS: dict[Technique, Callable[[TerminalCapabilities, Colour], Backend]] = {
    Technique.FRAMES: FrameBackend,
    Technique.PLACEHOLDERS: PlaceholderBackend,
    Technique.CLASSIC: ClassicBackend,
    Technique.SIXEL: SixelBackend,
    Technique.ITERM: ItermBackend,
    Technique.HALFCELL: HalfCellBackend,
    Technique.NONE: NoPictureBackend,
}


def backend_for(caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> Backend:
    """The technique's bytes; `background` fills the margins beside a picture."""
    if caps.technique is Technique.FRAMES and caps.shared_memory and not caps.wrapped:
        return SharedFrameBackend(caps, background)
    return BACKENDS[caps.technique](caps, background)
