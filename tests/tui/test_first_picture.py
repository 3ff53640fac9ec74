"""The first picture comes before the listing ends; the other items come after it, all of them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.finder import ItemFinder
from annotator.tui.launch import prepare_label_app
from tests.time_limits import PATIENCE
from tests.tui.conftest import Desk

CAPS = TerminalCapabilities(Technique.HALFCELL)
FOLDERS, FILES, SLOW = 30, 4, 10


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """A folder of folders of images, not listed yet."""
    images = tmp_path / "images"
    for number in range(FOLDERS):
        folder = images / f"{number:02d}"
        folder.mkdir(parents=True)
        for place in range(FILES):
            Image.new("RGB", (32, 24), (200, 8 * number, 30)).save(folder / f"{place}.png")
    settings = Settings((ClassInfo("a"), ClassInfo("b")), images=str(images), seen_guard="off")
    return ProjectFolder.create(tmp_path / "project", settings)


class SlowDisk:
    """A file system that lists a folder only once it is `ready`."""

    def __init__(self, folder: Path) -> None:
        self.ready = threading.Event()
        self._folder, self._scan = folder, os.scandir

    def scandir(self, path: Any = ".") -> Any:
        if Path(path) == self._folder:
            assert self.ready.wait(PATIENCE)
        return self._scan(path)


@pytest.fixture
def disk(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """A disk on which one of the folders of images takes its time."""
    slow = SlowDisk(project.images / f"{SLOW:02d}")
    monkeypatch.setattr(os, "scandir", slow.scandir)
    yield slow
    slow.ready.set()


async def test_the_first_picture_is_drawn_before_the_last_folder_is_listed(
    project: ProjectFolder, disk: SlowDisk
) -> None:
    finder = ItemFinder(project, rests=True)
    with prepare_label_app(project, "ann", CAPS, features=False, finder=finder) as app:
        async with app.run_test(size=(80, 24)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.label_screen.picture.seen is not None)
            assert not app.label_screen.listed
            assert len(app.session.queue.refs) <= SLOW * FILES
            await desk.press("a")  # labels while the listing waits for the disk
            disk.ready.set()
            await desk.until(lambda: app.label_screen.listed)
            assert app.session.progress.items == FOLDERS * FILES
            assert list(app.session.queue.refs) == list(load_refs(project))
            first = next(iter(app.session.state.standing.values()))[0]
            assert first.q is None and first.pool is None  # no draw from the whole pool
            await desk.press("a")
            # What was next is drawn anew: the current one alone is of the part listed before.
            first, second = (stack[0] for stack in app.session.state.standing.values())
            assert second.q is None
            pools = [app.session.queue[place].pool for place in range(len(app.session.queue))]
            assert len(pools) > 1 and min(pools) > SLOW * FILES


def test_until_the_picture_is_drawn_only_the_first_items_are_listed(project: ProjectFolder) -> None:
    found: list[Any] = []
    finder = ItemFinder(project, rests=True)
    finder.listen(found.append)
    _until(lambda: len(found) == 1)
    time.sleep(0.1)
    assert [len(batch) for batch in found] == [FILES]
    finder.go_on()
    _until(lambda: len(found) > 1 and not isinstance(found[-1], list))
    assert [ref for batch in found[:-1] for ref in batch] == list(load_refs(project))
    assert len(found) < FOLDERS / 2  # the batches of small folders are joined


async def test_a_first_item_without_a_picture_holds_nothing_up(project: ProjectFolder) -> None:
    for file in (project.images / "00").iterdir():
        file.write_bytes(b"no picture")
    finder = ItemFinder(project, rests=True)
    with prepare_label_app(project, "ann", CAPS, features=False, finder=finder) as app:
        async with app.run_test(size=(80, 24)) as pilot:
            await Desk(app, pilot).until(lambda: app.label_screen.listed)
            assert app.session.progress.items == FOLDERS * FILES


async def test_first_items_that_are_answered_hold_nothing_up(project: ProjectFolder) -> None:
    for _ in range(2):  # the second time, the first folder has no open item
        finder = ItemFinder(project, rests=True)
        with prepare_label_app(project, "ann", CAPS, features=False, finder=finder) as app:
            async with app.run_test(size=(80, 24)) as pilot:
                desk = Desk(app, pilot)
                await desk.until(lambda: app.label_screen.listed)
                listed = list(app.session.queue.refs)
                app.session.decide(dict.fromkeys(listed[:FILES], "a"), picked_by="test")
                await asyncio.sleep(0)
        (project.refs_file).unlink()
    assert len(listed) == FOLDERS * FILES


def _until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)
