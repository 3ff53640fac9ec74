"""Keys that arrive in a burst, as a stalled line delivers them, on every screen."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key

BURSTS = int(os.environ.get("ANNOTATOR_BURSTS", "3"))
"""Bursts for each screen. A thousand: ANNOTATOR_BURSTS=1000 pytest tests/tui/test_key_bursts.py"""
KEYS = [*"adqCIKSGVFPZTRHn?:/,.0123456789bcefghijklmoprstuvwxyzAE[]", *"\x10\x0e\x15"] + [
    "up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "escape", "space",
    "backspace", "tab", "shift+tab", "delete", "ctrl+p", "ctrl+r",
]  # fmt: skip
SCREENS = {
    "label": "", "help": "?", "curves": "C", "classes": ":", "meaning": "I", "strategy": "S",
    "palette": "\x10", "search": "/", "note": "n", "pages": "G", "rapid": "R",
}  # fmt: skip


def send(desk: Any, *keys: str) -> None:
    """Deliver keys at once: the app gets them before it has handled the first."""
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        character = key if len(key) == 1 else None
        if key == "\x10":
            name = "ctrl+p"
        desk.app.post_message(events.Key(name, character))


async def handled(desk: Any) -> None:
    await desk.pilot.pause()
    await desk.until(lambda: not desk.app.key_queue.busy)
    await desk.pilot.pause()


def labels(log: Callable[..., Any], project: Any) -> list[Any]:
    return [row for row in log(project) if row.action == "label"]


@pytest.mark.parametrize("keys", [":dad", ":zz", "\x10dad", "nadad", "/adda", "CqC", "IqI", "IqC"])
async def test_keys_after_one_that_opens_a_dialog_are_for_the_dialog(
    make: Any, opened: Any, log: Any, keys: str
) -> None:
    project = make(12)
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        send(desk, *keys)
        await handled(desk)
        assert desk.app.is_running and desk.app.return_code in (None, 0)
        assert labels(log, project) == []


async def test_a_burst_labels_only_the_picture_that_was_there_before_it(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(12)
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        seen = desk.current
        send(desk, *"dadad")
        await handled(desk)
        assert [row.ref for row in labels(log, project)] == [seen]
        await desk.press("a")
        assert len(labels(log, project)) == 2
    assert all(row.shown_ms is not None for row in labels(log, project))


async def test_keys_before_the_first_picture_label_nothing(
    make: Any, opened: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotator.tui.picture.picture import PictureView

    project = make(12)
    monkeypatch.setattr(PictureView, "_from_thread", lambda self, developed: None)
    async with opened(project) as desk:  # its pictures are decoded for ever
        send(desk, *"dadad", "space")
        await handled(desk)
        send(desk, "d")
        await handled(desk)
        await desk.sees("not on screen yet: key ignored")
    assert log(project) == []


async def test_a_search_in_one_burst_finds_the_class(make: Any, opened: Any, log: Any) -> None:
    project = make(12)
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        send(desk, *":blu", "enter")
        await handled(desk)
        await desk.until(lambda: labels(log, project))
    assert [row.label for row in labels(log, project)] == ["blue"]


@pytest.mark.parametrize("screen", SCREENS)
async def test_bursts_of_random_keys_never_end_the_app(
    make: Any, give_features: Any, opened: Any, screen: str
) -> None:
    project = make(24)
    give_features(project, [f"{number:02d}.png" for number in range(24)])
    rng = random.Random(f"bursts {screen}")
    for _ in range(max(1, BURSTS // 6)):
        async with opened(project, size=(100, 30)) as desk:
            for _ in range(min(BURSTS, 6)):
                if not desk.app.is_running or desk.app._exit:
                    break  # q quits, as it should
                send(desk, *SCREENS[screen], *rng.choices(KEYS, k=rng.randint(1, 50)))
                await handled(desk)
            assert desk.app._exception is None
            assert desk.app.return_value is None and desk.app.return_code in (None, 0)
