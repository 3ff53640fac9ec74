"""Keys that arrive in a burst, as a stalled line delivers them, on every screen."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key

from annotator.hits.assignments import Assignments, SubmitChecks
from annotator.hits.files import save_hit_set
from annotator.hits.make import HitRecipe, make_hits
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import PageRequest, SelectionMode
from annotator.project.clusters import ClusterMember, write_clusters
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.pages.open import hit_opener, open_identities, open_pages
from annotator.tui.pages.pointer_recorder import epoch_ms
from annotator.tui.rapid.open import open_rapid
from tests.tui.review.test_review import reviewing

BURSTS = int(os.environ.get("ANNOTATOR_BURSTS", "3"))
"""Bursts for each screen. A thousand: ANNOTATOR_BURSTS=1000 pytest tests/tui/test_key_bursts.py"""
SEED = os.environ.get("ANNOTATOR_SEED", "")
"""Another seed gives other bursts."""
A_SESSION = 25
"""Bursts before the app is opened again."""
SIZE = (100, 30)
STREAMING = TerminalCapabilities(Technique.FRAMES, answers=True)
KEYS = [*"adqCIKSGVFPZTRHn?:/,.0123456789bcefghijklmoprstuvwxyzAE[]", *"\x10\x0e\x15"] + [
    "up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "escape", "space",
    "backspace", "tab", "shift+tab", "delete", "ctrl+p", "ctrl+r",
]  # fmt: skip
STAYING = [key for key in KEYS if key != "q"]
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


async def remove(folder: Path) -> None:
    """Remove a folder in which a child process, told to stop, may write once more."""
    for _ in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"something still writes into {folder}")


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


async def test_keys_before_the_first_picture_write_no_note(
    make: Any, opened: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotator.tui.picture.picture import PictureView

    project = make(12)
    monkeypatch.setattr(PictureView, "_from_thread", lambda self, developed: None)
    async with opened(project) as desk:
        send(desk, *"nad", "enter")
        await handled(desk)
    assert log(project) == []


async def test_without_pictures_a_key_labels_the_item_whose_name_is_there(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(12)
    async with opened(project, caps=TerminalCapabilities(Technique.NONE)) as desk:
        for count in range(3):
            await desk.until(lambda: desk.text.count(str(desk.current)) == 2)  # and the caption
            await desk.until(lambda: desk.app.label_screen.picture.seen == desk.app.session.current)
            seen = desk.current
            send(desk, *"dadad")
            await handled(desk)
            assert [row.ref for row in labels(log, project)][count:] == [seen]
            assert desk.current != seen


async def test_without_pictures_keys_before_the_first_name_label_nothing(
    make: Any, opened: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotator.tui.picture.picture import PictureView

    project = make(12)
    monkeypatch.setattr(PictureView, "_composed", lambda self: None)
    async with opened(project, caps=TerminalCapabilities(Technique.NONE)) as desk:
        for key in "dadad":
            send(desk, key)
            await handled(desk)
            await desk.sees("not on screen yet: key ignored")
    assert log(project) == []


async def test_the_pilot_does_not_wait_for_an_app_that_ends_while_it_is_busy(
    make: Any, opened: Any
) -> None:
    async with opened(make(4)) as desk:
        begun, over = asyncio.Event(), asyncio.Event()

        async def keep_busy() -> None:
            begun.set()
            await over.wait()

        desk.app.exit()
        desk.app.call_later(keep_busy)
        desk.app.call_later(over.wait)
        await begun.wait()
        await desk.pilot.pause()
        over.set()


async def test_a_search_in_one_burst_finds_the_class(make: Any, opened: Any, log: Any) -> None:
    project = make(12)
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        send(desk, *":blu", "enter")
        await handled(desk)
        await desk.until(lambda: labels(log, project))
    assert [row.label for row in labels(log, project)] == ["blue"]


def open_page(desk: Any) -> None:
    open_pages(desk.app, PageRequest("red", SelectionMode.POSITIVES, negative="blue", per_page=6))


def open_references(desk: Any) -> None:
    open_page(desk)
    desk.app.screen_stack[-1].preferences.show_references(True)


def open_people(desk: Any) -> None:
    open_identities(desk.app, ["22.png", "23.png"], word="person", again=False)


def open_hit(desk: Any) -> None:
    project = desk.app.project
    hits = make_hits(
        project, desk.app.session.state,
        HitRecipe("reds", ("red",), pages=2, images=6, gold=0, hits=1),
    )  # fmt: skip
    save_hit_set(project, hits)
    one = Assignments(desk.app.session.store, epoch_ms).assign(hits, "0123456789")
    checks = SubmitChecks(0.0, False)
    hit_opener(hits, one.id, "POINTER_NO_ORIGINAL", checks, [])(desk.app)


OPENERS = {
    "page": open_page, "references": open_references, "identities": open_people, "hit": open_hit,
    "streams": lambda desk: open_rapid(desk.app),
}  # fmt: skip
"""Screens that open over the labelling screen; those of `SCREENS` open by a key."""


@asynccontextmanager
async def review_opened(project: ProjectFolder) -> AsyncIterator[Any]:
    """The review of a project with two wrong labels."""
    store = SqliteStore(project.labels_file)
    for number in range(20):
        label = "red" if (number % 2 == 0) != (number in (4, 7)) else "blue"
        store.append(Entry(0, 1.0, "ana", Action.LABEL, f"{number:02d}.png", label))
    store.close()
    async with reviewing(project) as desk:
        yield desk


@pytest.mark.parametrize("screen", [*SCREENS, *OPENERS, "review"])
async def test_bursts_of_random_keys_never_end_the_app(
    make: Any, give_features: Any, opened: Any, log: Any, screen: str
) -> None:
    refs = [f"{number:02d}.png" for number in range(24)]
    rng, sent = random.Random(f"bursts {screen}{SEED}"), 0
    while sent < BURSTS:
        project = make(24, (ClassInfo("red", examples=("00.png", "02.png")), "blue"))
        give_features(project, refs)
        write_clusters(project, [ClusterMember(ref, n // 8, "") for n, ref in enumerate(refs[:22])])
        caps = {"caps": STREAMING} if screen == "streams" else {}
        start = review_opened(project) if screen == "review" else opened(project, size=SIZE, **caps)
        async with start as desk:
            if screen in OPENERS:
                OPENERS[screen](desk)
                await handled(desk)
            for _ in range(min(BURSTS - sent, A_SESSION)):
                if not desk.app.is_running or desk.app._exit:
                    break  # q quits, as it should
                sent += 1
                some = KEYS if rng.random() < 0.1 else STAYING
                keys = [*SCREENS.get(screen, ""), *rng.choices(some, k=rng.randint(1, 50))]
                send(desk, *keys)
                await handled(desk)
                assert desk.app._exception is None, keys
            assert desk.app._exception is None
            assert desk.app.return_value is None and desk.app.return_code in (None, 0)
        given = [row for row in labels(log, project) if row.picked_by != "rapid"]
        assert all(row.shown_ms is not None for row in given if row.annotator != "ana")
        await remove(project.folder)
