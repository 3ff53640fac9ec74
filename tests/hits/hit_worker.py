"""A worker at a HIT, without a terminal, and HITs of images whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotator.hits.assignments import Assignments, HitTask, SubmitChecks, project_salt, worker_id
from annotator.hits.files import select_hit_set
from annotator.hits.make import HitRecipe, make_hits
from annotator.hits.model import VERSIONS, HitSet
from annotator.hits.recorder import PageShown, PageTile, Recorder, TerminalWindow
from annotator.hits.work import HitSource
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import Page
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession

NO_CHECKS = SubmitChecks(0.0, False)


def is_cat(ref: str) -> bool:
    return int(Path(ref).stem) % 3 == 0


def hits_of(project: ProjectFolder, **recipe: object) -> HitSet:
    fields = {"name": "cats", "classes": ("cat",), "pages": 2, "images": 10, "gold": 2, **recipe}
    store = SqliteStore(project.labels_file)
    return make_hits(project, replay(store.entries()), HitRecipe(**fields))  # type: ignore[arg-type]


class Desk:
    """A worker at a terminal, without the terminal."""

    def __init__(
        self,
        project: ProjectFolder,
        name: str = "A1WORKER",
        checks: SubmitChecks = NO_CHECKS,
        version: str = VERSIONS[0],
        external: str = "",
    ) -> None:
        self.now = 1_700_000_000_000
        self.store = SqliteStore(project.labels_file)
        self.project, self.worker = project, worker_id(project, name)
        self.hits, self.book = (
            select_hit_set(project, None),
            Assignments(self.store, lambda: self.now),
        )
        assignment = self.book.assign(self.hits, self.worker, external)
        assignment = self.book.begin(assignment, version, checks)
        self.recorder = Recorder(self.store, self.worker, version=version, annotation=assignment.id)
        task = HitTask(self.hits, self.hits.hit(assignment.hit), assignment)
        session = LabelSession(self.store, project.settings.names, annotator=self.worker)
        self.source = HitSource(
            task,
            session,
            self.store,
            self.recorder,
            self.book,
            project_salt(project),
            lambda: self.now,
        )

    def show(self, view: bool = True) -> Page:
        page = self.source.next()
        assert page is not None
        self.put(page, view)
        return page

    def put(self, page: Page, view: bool = True) -> None:
        tiles = [PageTile(self.source.image_id(page, i), ref) for i, ref in enumerate(page.refs)]
        shown = PageShown(self.now, page.number, page.label, page.select, page.order, id=page.key)
        self.recorder.page_shown(shown, tiles, TerminalWindow(80, 24))
        if view:
            self.recorder.scroll(0, len(tiles), self.now)

    def select(self, page: Page, refs: Sequence[str]) -> None:
        for ref in refs:
            self.now += 100
            self.recorder.select(page.refs.index(ref), 0.5, 0.5, self.now, "mouse")

    def do(self, wrong: Sequence[str] = ()) -> Page:
        """Answer a page by the truth, apart from `wrong`."""
        page = self.show()
        cats = [ref for ref in page.refs if is_cat(ref) != (ref in wrong)]
        self.select(page, cats)
        self.now += 1000
        self.source.submit(page, dict.fromkeys(cats))
        return page

    def kill(self) -> None:
        """As kill -9 leaves it: nothing is closed, nothing flushed."""


def labels(project: ProjectFolder) -> dict[str, str | None]:
    state = replay(SqliteStore(project.labels_file).entries())
    return {ref: state.label(ref) for ref in state.standing}
