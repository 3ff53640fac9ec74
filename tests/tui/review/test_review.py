"""The review screen: one key changes a label or confirms it, and the next case is there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from textual.pilot import Pilot

from annotator.curate.review_evidence import gather_evidence
from annotator.curate.review_queues import find_cases
from annotator.detection.proposal import Proposal
from annotator.images import near_duplicates
from annotator.items.refs import Item
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals.writing import ProposalWriter
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.launch import prepare_review_app
from annotator.tui.review.app import ReviewApp
from tests.time_limits import PATIENCE


class Desk:
    """The running review and the means to look at it."""

    def __init__(self, app: ReviewApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def shown(self) -> str | None:
        item = self.app.review_screen.picture.item
        return item.ref if item else None

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)

    async def press(self, *keys: str) -> None:
        picture = self.app.review_screen.picture
        for key in keys:
            await self.until(lambda: picture.seen == picture.item)
            await self.pilot.press(key)

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never came true; the screen shows:\n{self.text}"
            await asyncio.sleep(0.005)
            await self.pilot.pause()

    async def sees(self, words: str) -> None:
        await self.until(lambda: words in self.text)


@asynccontextmanager
async def reviewing(
    project: ProjectFolder, queue: str | None = None, size: tuple[int, int] = (100, 32)
) -> AsyncIterator[Desk]:
    store = SqliteStore(project.labels_file)
    state, refs = replay(store.entries()), load_refs(project)
    evidence = gather_evidence(project, state)
    found = find_cases(
        project,
        store,
        state,
        evidence,
        near_duplicates.load_fingerprints(project.fingerprints_file, refs),
    )
    store.close()
    caps = TerminalCapabilities(Technique.HALFCELL)
    with prepare_review_app(project, "bo", found, evidence, queue, caps) as app:
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: "REVIEW" in desk.text)
            yield desk


@pytest.fixture
def doubtful(
    make: Callable[..., ProjectFolder],
    give_features: Callable[[ProjectFolder, Sequence[str]], None],
    truth: Callable[[str | None], str],
) -> ProjectFolder:
    """40 items labelled by ana, 06 and 13 wrongly; 01 is flagged, 38 is skipped."""
    project = make(40)
    refs = [f"{number:02d}.png" for number in range(40)]
    give_features(project, refs)
    store = SqliteStore(project.labels_file)
    other = {"red": "blue", "blue": "red"}
    for ref in refs[:36]:
        label = other[truth(ref)] if ref in ("06.png", "13.png") else truth(ref)
        store.append(Entry(0, 1.0, "ana", Action.LABEL, ref, label))
    store.append(Entry(0, 1.0, "ana", Action.FLAG, "01.png"))
    store.append(Entry(0, 1.0, "ana", Action.SKIP, "38.png"))
    store.close()
    return project


def written(project: ProjectFolder) -> list[Entry]:
    store = SqliteStore(project.labels_file)
    entries = [entry for entry in store.entries() if entry.annotator == "bo"]
    store.close()
    return entries


async def test_a_case_shows_its_label_who_gave_it_and_what_speaks_against_it(
    doubtful: ProjectFolder,
) -> None:
    async with reviewing(doubtful, "errors") as desk:
        await desk.until(lambda: desk.shown in ("06.png", "13.png"))
        wrong = "blue" if desk.shown == "06.png" else "red"
        for words in (f"label {wrong} by ana", "without this label", "nearest labelled"):
            assert words in desk.text
        assert desk.app.review.queues["errors"] == 2
        assert "confirm" in desk.text


async def test_one_key_changes_a_label_and_one_confirms_it(
    doubtful: ProjectFolder, truth: Callable[[str | None], str]
) -> None:
    async with reviewing(doubtful, "errors") as desk:
        first = desk.shown
        await desk.press("1" if truth(first) == "red" else "2")
        await desk.until(lambda: desk.shown != first)
        second = desk.shown
        await desk.press("enter")
        await desk.sees("Nothing is left in the queue errors")
    changed, confirmed = written(doubtful)
    assert (changed.ref, changed.label, changed.picked_by) == (first, truth(first), "review")
    assert confirmed.ref == second
    assert confirmed.label != truth(second)
    assert confirmed.shown_ms is not None
    async with reviewing(doubtful, "errors") as desk:
        await desk.sees("Nothing is left in the queue errors")


async def test_arrows_move_true_pixels_and_answer_nothing(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        first = desk.shown
        await desk.press("k", "ctrl+n", "z")
        await desk.sees("contrast crop · inverted")
        await desk.press("left", "right", "down", "right")
        assert desk.shown == first and not written(doubtful)
        await desk.press("z", "right")
        await desk.until(lambda: desk.shown != first)
    assert [entry.ref for entry in written(doubtful)] == [first]


async def test_undo_brings_the_case_back(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        first, keys = desk.shown, desk.app.screen.keys
        assert "undo" not in keys.text
        await desk.press("enter")
        await desk.until(lambda: desk.shown != first and "undo" in keys.text)
        await desk.press("backspace")
        await desk.until(lambda: desk.shown == first and "undo" not in keys.text)
        await desk.press("backspace")
        await desk.sees("nothing of this session")
    assert [entry.action for entry in written(doubtful)] == [Action.LABEL, Action.UNDO]


async def test_tab_goes_to_the_next_queue_that_has_cases(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        for queue in ("neighbours", "flagged", "skipped"):
            await desk.press("tab")
            assert desk.app.review.queue == queue
        await desk.sees("skipped by ana")
        await desk.press("enter", "shift+tab")
        await desk.sees("flagged by ana")
    assert [entry.action for entry in written(doubtful)] == [Action.SKIP]


async def test_neighbours_can_be_looked_at_and_take_no_answer(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        case = desk.shown
        await desk.press("]")
        await desk.sees("to compare: labelled")
        assert desk.shown != case
        await desk.press("1")
        await desk.sees("esc goes back")
        await desk.press("escape")
        await desk.until(lambda: desk.shown == case)
        await desk.press("[", "]")
        assert desk.shown == case
    assert written(doubtful) == []


async def test_a_label_that_cannot_be_written_is_said_and_kept_on_screen(
    doubtful: ProjectFolder,
) -> None:
    async with reviewing(doubtful, "errors") as desk:
        case = desk.shown
        lock = SqliteStore(doubtful.labels_file)
        desk.app.review.session.store._log.execute("PRAGMA busy_timeout = 50")  # type: ignore[attr-defined]
        lock._log.execute("BEGIN IMMEDIATE")
        await desk.press("enter")
        await desk.sees("NOT SAVED")
        assert desk.shown == case
        lock._log.execute("ROLLBACK")
        lock.close()
        await desk.press("enter")
        await desk.until(lambda: desk.shown != case)
    assert len(written(doubtful)) == 1


async def test_classes_are_chosen_and_confirmed_where_an_item_may_have_several(
    make: Callable[..., ProjectFolder],
) -> None:
    project = make(4, classes=("ok", "dusty", "bent"), multi_label=True)
    store = SqliteStore(project.labels_file)
    store.append(Entry(0, 1.0, "ana", Action.LABEL, "00.png", "ok|dusty"))
    store.append(Entry(0, 1.0, "ana", Action.FLAG, "00.png"))
    store.close()
    async with reviewing(project, "flagged") as desk:
        await desk.press("1", "3")
        assert written(project) == []
        await desk.press("enter")
        await desk.sees("Nothing is left")
    (entry,) = written(project)
    assert entry.label == "dusty|bent"


async def test_what_has_no_picture_takes_no_answer(doubtful: ProjectFolder) -> None:
    for name in ("06.png", "13.png"):
        (doubtful.images / name).write_bytes(b"no picture")
    async with reviewing(doubtful, "errors") as desk:
        first = desk.shown
        await desk.press("enter")
        await desk.sees("no picture, no answer")
        await desk.press("s")
        await desk.until(lambda: desk.shown != first)
    assert written(doubtful) == []


async def test_it_fits_a_small_window(doubtful: ProjectFolder, tmp_path: Path) -> None:
    async with reviewing(doubtful, "errors", size=(60, 20)) as desk:
        await desk.sees("by ana")
        await desk.press("enter")
        await desk.until(lambda: desk.app.review.done == 1)


async def test_a_low_window_names_the_queue_and_the_item_that_is_compared(
    doubtful: ProjectFolder,
) -> None:
    async with reviewing(doubtful, "errors", size=(80, 19)) as desk:
        await desk.sees("▸errors 2")
        assert "more queues" in desk.text
        case = desk.shown
        for _ in range(5):
            before = desk.shown
            await desk.press("]")
            await desk.until(lambda before=before: desk.shown not in (before, case))
            await desk.until(lambda: re.search(f"▸(red|blue) {desk.shown}", desk.text))
            assert "▸errors 2" in desk.text


async def test_the_footer_of_80_columns_has_the_order_after_an_answer(
    doubtful: ProjectFolder,
) -> None:
    async with reviewing(doubtful, "errors", size=(80, 24)) as desk:
        await desk.press("enter")
        await desk.until(lambda: "undo" in desk.app.screen.keys.text)
        assert "T order" in desk.app.screen.keys.text


async def test_a_key_turns_the_order_of_likely_errors(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        assert "T order" in desk.app.screen.keys.text
        await desk.press("t")
        await desk.sees("errors, ambiguous first")
        await desk.press("t")
        await desk.until(lambda: "ambiguous first" not in desk.text)
        await desk.press("tab")  # the next queue has one order
        await desk.until(lambda: "T order" not in desk.app.screen.keys.text)


async def test_a_case_says_who_confirmed_it_in_another_queue(doubtful: ProjectFolder) -> None:
    async with reviewing(doubtful, "errors") as desk:
        await desk.press("enter", "enter")
        await desk.sees("Nothing is left in the queue errors")
    async with reviewing(doubtful, "neighbours") as desk:
        await desk.sees("confirmed by bo")


async def test_enter_takes_the_box_of_the_detector_in_view(tmp_path: Path) -> None:
    Image.effect_noise((200, 200), 40).convert("RGB").save(tmp_path / "a.png")
    classes = (ClassInfo("cat"), ClassInfo("dog"), ClassInfo("none"))
    project = ProjectFolder.create(tmp_path / "p", Settings(classes=classes, images=str(tmp_path)))
    project.refs_file.write_text('filename,bbox\na.png,"60,10,60,80"\n')
    store = SqliteStore(project.labels_file)
    old, new = "a.png#xywh=60,10,60,80", "a.png#xywh=85,10,60,80"
    store.append(Entry(0, 1.0, "ana", Action.LABEL, old, "cat"))
    store.close()
    with ProposalWriter(project) as writer:
        writer.add([Proposal(Item.parse(new), 0.9, "cat", "m")])
    async with reviewing(project, "misplaced") as desk:
        await desk.sees("the detector's box")
        await desk.press("]")
        await desk.sees("enter takes it")
        await desk.press("enter")
        await desk.sees("Nothing is left")
    assert {entry.ref: entry.label for entry in written(project)} == {old: "none", new: "cat"}
