"""The backend for what the terminal can do."""

from __future__ import annotations

from collections.abc import Callable

from annotator.terminal.backend import Backend, Colour
from annotator.terminal.caps import Caps, Technique
from annotator.terminal.cells import Halfcells
from annotator.terminal.iterm import Iterm
from annotator.terminal.kitty import Classic, Frames, Placeholders
from annotator.terminal.redrawn import Nothing
from annotator.terminal.shared_frames import SharedFrames
from annotator.terminal.sixel import Sixel

BACKENDS: dict[Technique, Callable[[Caps, Colour], Backend]] = {
    Technique.FRAMES: Frames,
    Technique.PLACEHOLDERS: Placeholders,
    Technique.CLASSIC: Classic,
    Technique.SIXEL: Sixel,
    Technique.ITERM: Iterm,
    Technique.HALFCELL: Halfcells,
    Technique.NONE: Nothing,
}


def backend_for(caps: Caps, background: Colour = (0, 0, 0)) -> Backend:
    """The technique's bytes; `background` fills the margins beside a picture."""
    if caps.technique is Technique.FRAMES and caps.shared_memory and not caps.wrapped:
        return SharedFrames(caps, background)
    return BACKENDS[caps.technique](caps, background)
