"""Updates of the screen that send the cells that changed, and nothing to the left of them.

Textual's own partial update always begins at a widget's left edge: for a number at the right end
of a line it sends the whole line. Over a thin line that is most of what a key costs.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class TightUpdate(ChopsUpdate):
    """The same spans, each from its own first cell."""

    def render_segments(self, console: Console) -> str:
        written = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                first, last = max(x, x1), min(end, x2)
                if strip is not None and first < last:
                    written.append(Control.move_to(first, y).segment.text)
                    written.append(strip.crop(first - x, last - x).render(console))
        return "".join(written)


class TightCompositor(Compositor):
    """A screen's compositor; put it in the place of `Screen._compositor` before it is mounted."""

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        if update is None:
            return None
        return TightUpdate(update.chops, update.spans, update.chop_ends)
