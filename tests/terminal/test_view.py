"""What the footer says of the time from a key to its picture."""

from __future__ import annotations

from annotator.items.refs import Item
from annotator.terminal.backend import Payload
from annotator.terminal.requests import PictureRequest, ScreenState


def test_a_picture_drawn_again_after_a_dialog_was_not_waited_for() -> None:
    now = 100.0
    view = ScreenState(lambda: now)
    shot, payload = PictureRequest(Item("a.jpg")), Payload((), 0)
    view.begin_request()
    now += 0.25
    assert view.note_seen(view.show(shot, payload, None, 0))
    assert view.waited == 0.25
    now += 90.0  # a dialog was open
    view.begin_redraw()
    assert view.note_seen(view.show(shot, payload, None, 0))
    assert view.waited == 0.25
    view.begin_request()
    now += 0.5
    view.note_seen(view.show(shot, payload, None, 0))
    assert view.waited == 0.5
