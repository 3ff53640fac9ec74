"""A HIT on the screen: what the mouse and the keys do is answered, recorded and taken up again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from annotator.errors import ProjectError
from annotator.hits.assignments import Assignments, SubmitChecks
from annotator.hits.files import save_hit_set
from annotator.hits.make import HitRecipe
from annotator.hits.make import make_hits as draw
from annotator.hits.model import HitSet
from annotator.hits.replay import find_replays
from annotator.hits.traces import PageTrace, replay_traces
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.app import LabelApp
from annotator.tui.launch import prepare_label_app
from annotator.tui.pages.hit import HitScreen
from annotator.tui.pages.open import hit_opener, replay_opener
from annotator.tui.pages.pointer_recorder import epoch_ms
from annotator.tui.pages.replay import ReplayScreen
from tests.time_limits import PATIENCE

NO_CHECKS = SubmitChecks(0.0, False)
SIZE = (100, 40)


@pytest.fixture
def project(make: Callable[..., ProjectFolder]) -> ProjectFolder:
    """Eight images, four of them labelled already: red is even, blue is odd."""
    made = make(8)
    made.refs_file.write_text("filename\n" + "\n".join(f"{n:02d}.png" for n in range(8)))
    store = SqliteStore(made.labels_file)
    for number in range(4):
        label = "blue" if number % 2 else "red"
        store.append(Entry(0, 1.0, "ann", Action.LABEL, f"{number:02d}.png", label))
    store.close()
    return made


def hits_of(project: ProjectFolder, images: int = 4, gold: int = 1) -> HitSet:
    store = SqliteStore(project.labels_file)
    recipe = HitRecipe("reds", ("red",), pages=2, images=images, gold=gold, hits=1)
    hits = draw(project, replay(store.entries()), recipe)
    store.close()
    save_hit_set(project, hits)
    return hits


class Worker:
    """The running app, and what its worker sees and does."""

    def __init__(self, app: LabelApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> HitScreen:
        screen = self.app.screen
        assert isinstance(screen, HitScreen)
        return screen

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never came true; the screen shows:\n{self.text}"
            await asyncio.sleep(0.005)
            await self.pilot.pause()

    async def ready(self) -> None:
        """The page is on the screen, and keys count."""
        screen = self.screen
        await self.until(lambda: screen.mosaic.seen == screen._sheet and screen.shows)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.ready()
            await self.pilot.press(key)

    @property
    def refs(self) -> tuple[str, ...]:
        assert self.screen.page is not None
        return self.screen.page.refs

    def cell(self, place: int, x: float = 0.5, y: float = 0.5) -> tuple[int, int]:
        """The cell of the window at a point of an image."""
        left, top, width, height = self.screen.mosaic.picture_at(place)
        region = self.screen.mosaic.content_region
        return int(region.x + left + x * width), int(region.y + top + y * height)

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


@asynccontextmanager
async def at_work(
    project: ProjectFolder,
    hits: HitSet,
    codes: list[str] | None = None,
    checks: SubmitChecks = NO_CHECKS,
    version: str = "NO_POINTER_ORIGINAL",
    technique: Technique = Technique.HALFCELL,
) -> AsyncIterator[Worker]:
    store = SqliteStore(project.labels_file)
    one = Assignments(store, epoch_ms).assign(hits, "0123456789")
    store.close()
    with prepare_label_app(
        project, one.worker, TerminalCapabilities(technique), features=False,
        opening=hit_opener(hits, one.id, version, checks, [] if codes is None else codes),
    ) as app:  # fmt: skip
        async with app.run_test(size=SIZE) as pilot:
            worker = Worker(app, pilot)
            await worker.until(lambda: isinstance(app.screen, HitScreen))
            await worker.ready()
            yield worker


def pages(project: ProjectFolder) -> list[PageTrace]:
    store = SqliteStore(project.labels_file)
    try:
        return list(replay_traces(store))
    finally:
        store.close()


def is_red(ref: str) -> bool:
    return int(Path(ref).stem) % 2 == 0


async def test_a_hit_is_done_by_mouse_and_keys_and_gives_its_code(project: ProjectFolder) -> None:
    hits, codes = hits_of(project), list[str]()
    async with at_work(project, hits, codes) as worker:
        assert "red" in worker.text
        for _ in hits.hits[0].pages:
            await worker.ready()
            for place, ref in enumerate(worker.refs):
                if is_red(ref):
                    await worker.pilot.click(offset=worker.cell(place))
            await worker.press("enter")
        await worker.until(lambda: "completion code is" in worker.text)
        await worker.pilot.press("Q")
    assert codes
    assert codes[0].isalnum()
    state = replay(SqliteStore(project.labels_file).entries())
    assert {f"{n:02d}.png": state.label(f"{n:02d}.png") for n in range(8)} == {
        f"{n:02d}.png": "blue" if n % 2 else "red" for n in range(8)
    }


async def test_the_pointer_is_traced_over_the_image_that_it_is_on(project: ProjectFolder) -> None:
    hits = hits_of(project)
    async with at_work(project, hits) as worker:
        await worker.pilot.hover(offset=worker.cell(1, 0.1, 0.1))
        await worker.pilot.hover(offset=worker.cell(1, 0.9, 0.9))
        await worker.pilot.hover(offset=worker.cell(2))
        await worker.pilot.click(offset=worker.cell(2))
        await worker.pilot.click(offset=worker.cell(2))
        await worker.press("space", "right")
        refs, corner = worker.refs, worker.cell(1, 0, 0)
    (page,) = pages(project)
    one, two = page.images[1].fields(), page.images[2].fields()
    assert one["ref"] == refs[1]
    assert [record["action"] for record in one["hoveredRecord"]] == ["enter", "leave"]
    first, last = one["mouseTracking"][0], one["mouseTracking"][-1]
    assert 0 <= first["x"] < 0.3 < 0.7 < last["x"] <= 1
    assert 0 <= first["y"] < 0.35 < 0.65 < last["y"] <= 1
    assert two["selectedCount"] == 2, "the mouse, and the space bar"
    assert [record["by"] for record in two["selectedRecord"]] == ["mouse", "key"]
    assert [record["by"] for record in two["deselectedRecord"]] == ["mouse"]
    assert abs(two["selectedRecord"][0]["x"] - 0.5) < 0.1
    assert [key["key"] for key in page.keys] == ["space", "right"]
    assert (one["originalImageWidth"], one["originalImageHeight"]) == (32, 24)
    assert isinstance(one["imageWidth"], int) and one["imageWidth"] > 0
    found = one["imagePosition"]["x"], one["imagePosition"]["y"]
    assert found[0] // 8 == corner[0] and found[1] // 16 == corner[1], "from the window's corner"
    assert page.images[3].cursors


async def test_a_page_is_not_submitted_in_haste(project: ProjectFolder) -> None:
    hits = hits_of(project)
    async with at_work(project, hits, checks=SubmitChecks(3600, True)) as worker:
        await worker.press("enter")
        await worker.until(lambda: "Look at the images for at least" in worker.text)
        assert worker.screen.page is not None
        assert worker.screen.page.number == 1
    assert pages(project)[0].ended_at is None


async def test_a_hit_that_was_left_comes_back_with_its_selection(project: ProjectFolder) -> None:
    hits = hits_of(project)
    async with at_work(project, hits) as worker:
        await worker.press("enter", "right", "space")
        chosen = worker.refs[1]
    async with at_work(project, hits) as worker:
        assert worker.screen.page is not None
        assert worker.screen.page.number == 2
        assert worker.screen.require_page()[1].marks == {chosen: None}
        await worker.press("enter")
        await worker.until(lambda: "completion code" in worker.text)
    first, second = pages(project)
    assert [second.images[i].ref for i in second.selected] == [chosen]
    assert len(second.resumes) == 1


async def test_blurred_images_are_clear_where_one_looks(project: ProjectFolder) -> None:
    hits = hits_of(project)
    checks = SubmitChecks(0.0, True)
    async with at_work(project, hits, checks=checks, version="POINTER_NO_ORIGINAL") as worker:
        sheet = worker.screen._sheet
        assert sheet is not None
        assert sheet.blurred_out
        assert not sheet.unblurred
        await worker.pilot.hover(offset=worker.cell(1))
        await worker.until(lambda: worker.screen._sheet.unblurred == {1})  # type: ignore[union-attr]
        await worker.pilot.hover(offset=worker.cell(2))
        await worker.pilot.click(offset=worker.cell(2))
        await worker.pilot.hover(offset=worker.cell(0))
        await worker.until(lambda: worker.screen._sheet.unblurred == {0, 2})  # type: ignore[union-attr]
        dots = worker.screen._sheet.dots  # type: ignore[union-attr]
        assert {dot.place for dot in dots} == {0, 1, 2}
        await worker.press("enter")
        await worker.until(lambda: "1 of 4 images were not looked at" in worker.text)
        assert f"first: {worker.screen.tags[3]}" in worker.text
        await worker.pilot.hover(offset=worker.cell(3))
        await worker.press("enter")
        await worker.until(lambda: worker.screen.page and worker.screen.page.number == 2)
    assert pages(project)[0].shown["version"] == "POINTER_NO_ORIGINAL"


async def test_a_broken_image_gives_way_to_one_of_the_reserve(project: ProjectFolder) -> None:
    hits = hits_of(project, images=3)
    hit = hits.hits[0]
    (page, *others) = hit.pages
    broken = next(image.ref for image in page.images if image.id not in page.gold)
    (project.images / broken).write_bytes(b"no image")
    used = {image.ref for image in page.images}
    assert page.reserve
    hits = replace(hits, hits=(replace(hit, pages=(page, *others)),))
    async with at_work(project, hits) as worker:
        await worker.until(lambda: broken not in worker.refs)
        await worker.ready()
        fresh = set(worker.refs) - used
        assert len(fresh) == 1
        await worker.press("enter")
    trace = pages(project)[0]
    assert [(image.ref, bool(image.broken)) for image in trace.replaced] == [(broken, True)]
    state = replay(SqliteStore(project.labels_file).entries())
    assert state.label(broken) is None
    assert state.label(fresh.pop()) == "blue"


async def test_no_key_answers_a_page_of_a_hit_unasked(project: ProjectFolder) -> None:
    """S leaves other pages unanswered; here it would label all of them as something else."""
    async with at_work(project, hits_of(project), checks=SubmitChecks(600.0, False)) as worker:
        await worker.press("space", "S")
        await worker.until(lambda: "No page of a HIT can be skipped" in worker.text)
        board = worker.screen.selection
        assert board is not None and board.selected(0)
    assert [page.ended_at for page in pages(project)] == [None]
    assert len(replay(SqliteStore(project.labels_file).entries()).standing) == 4


async def test_no_key_leads_a_worker_to_pages_outside_of_the_hit(project: ProjectFolder) -> None:
    async with at_work(project, hits_of(project)) as worker:
        page = worker.screen.page
        await worker.press("B", "H")
        await worker.until(lambda: "Answer the page" in worker.text)
        assert "similar" not in worker.text and "Leave the page unanswered" not in worker.text
        await worker.pilot.press("escape")
        assert worker.screen.page is page


@pytest.mark.parametrize("technique", [Technique.HALFCELL, Technique.SIXEL])
async def test_a_page_is_never_blank_and_takes_keys_while_the_pointer_moves(
    project: ProjectFolder, technique: Technique, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = hits_of(project)
    async with at_work(project, hits, version="POINTER_NO_ORIGINAL", technique=technique) as worker:
        mosaic = worker.screen.mosaic
        stage = mosaic._stage
        hidden: list[object] = []
        monkeypatch.setattr(stage, "_hide", lambda: hidden.append(stage.plan.current))
        kept = mosaic._from_thread
        monkeypatch.setattr(mosaic, "_from_thread", lambda result: None)  # encoding takes long
        for step in range(12):
            await worker.pilot.hover(offset=worker.cell(step % 4, 0.1 + step / 20, 0.5))
        await asyncio.sleep(0.2)
        assert not hidden
        assert worker.screen._accepts()
        await worker.pilot.press("space")
        assert worker.screen.selection is not None
        assert len(worker.screen.selection.marks) == 1
        monkeypatch.setattr(mosaic, "_from_thread", kept)
        for _ in range(3):  # what was encoded meanwhile is lost
            mosaic.redraw()
            await asyncio.sleep(0.05)
        await worker.ready()
        assert mosaic._stage.state.shown is not None
        assert mosaic._stage.state.shown.item == worker.screen._sheet


async def test_a_replay_shows_the_pointer_and_the_selections_and_writes_nothing(
    project: ProjectFolder,
) -> None:
    hits = hits_of(project)
    async with at_work(project, hits) as worker:
        await worker.pilot.hover(offset=worker.cell(1, 0.2, 0.2))
        await worker.pilot.click(offset=worker.cell(1))
        await worker.pilot.hover(offset=worker.cell(2, 0.7, 0.7))
        chosen = worker.refs[1]
        await worker.press("enter")
    store = SqliteStore(project.labels_file)
    rows = len(list(store.entries())), len(list(store.read_byproducts()))
    store.close()
    replays = find_replays(project, "0123456789", hits.hits[0].id)
    assert len(find_replays(project)) == len(replays)
    with pytest.raises(ProjectError, match="hits status"):
        find_replays(project, "somebody else")
    with prepare_label_app(
        project, "owner", TerminalCapabilities(Technique.HALFCELL), features=False,
        opening=replay_opener(replays, 100.0),
    ) as app:  # fmt: skip
        async with app.run_test(size=SIZE) as pilot:
            shown = Worker(app, pilot)
            await shown.until(lambda: isinstance(app.screen, ReplayScreen))
            screen = app.screen
            assert isinstance(screen, ReplayScreen)
            await shown.until(lambda: screen.selection and screen.selection.marks == {chosen: None})
            await shown.until(lambda: screen._sheet and len(screen._sheet.dots) == 2)
            await pilot.click(offset=(30, 20))
            await pilot.press("a", "1", "space")
            await shown.until(lambda: "paused" in shown.text)
            await pilot.press("Q")
    store = SqliteStore(project.labels_file)
    assert (len(list(store.entries())), len(list(store.read_byproducts()))) == rows
