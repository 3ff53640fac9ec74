"""A message of another thread to a widget whose screen has gone."""

from __future__ import annotations

import threading

import pytest
from textual.message import Message
from textual.widgets import Static

from annotator.tui.workers import make_poster


def in_a_thread(work: object) -> None:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_a_message_for_a_widget_without_a_screen_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    gone = Static()  # neither closed nor on a screen: what Textual is in for a moment at the end
    post = make_poster(gone)
    in_a_thread(lambda: post(Message()))
    assert said == []
    in_a_thread(lambda: gone.post_message(Message()))
    assert said, "Textual drops it by itself: poster is no longer needed"
