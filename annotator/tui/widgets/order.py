"""What lies over what on the screen, and what comes before what among its messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.dom import DOMNode
from textual.widget import Widget


def overlaid(widget: Widget) -> bool:
    """Whether another screen or widget lies over this one, or part of it is cut off."""
    screen, region = widget.screen, widget.content_region
    if not screen.is_active:
        return True
    shown = screen._compositor.visible_widgets
    if widget in shown and shown[widget][1].intersection(region) != region:
        return True
    family = {widget, *widget.ancestors, *widget.walk_children()}
    return any(
        other not in family and other.visible and place.intersection(clip).overlaps(region)
        for other, (place, clip) in shown.items()
    )


def along(path: Sequence[DOMNode], callback: Callable[[], object]) -> None:
    """Call back after everything that is on the way along `path`, as keys are when they bubble."""
    if not path:
        callback()
        return
    path[0].call_later(along, path[1:], callback)
