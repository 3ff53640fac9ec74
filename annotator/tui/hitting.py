"""A HIT on the screen: its pages in place of the labelling screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from annotator.byproducts import Recorder, salt
from annotator.byproducts.assignments import Checks
from annotator.hits.book import Book
from annotator.hits.labels import Task
from annotator.hits.sets import HitSet
from annotator.hits.work import HitSource
from annotator.store import SqliteStore
from annotator.tui.hand import Hand, now
from annotator.tui.screens.hit import HitScreen

if TYPE_CHECKING:
    from annotator.tui.labeller import Labeller


def opening(
    hits: HitSet, assignment: str, version: str, checks: Checks, codes: list[str]
) -> Callable[[Labeller], None]:
    """Opens the pages of an assignment from where they were left; leaving them ends the program.

    The completion code is added to `codes` once the HIT is done.
    """

    def open_first(app: Labeller) -> None:
        store = SqliteStore(app.project.labels_file)
        book = Book(store, now)
        one = next(one for one in book.assignments(hits.name) if one.id == assignment)
        one = book.begin(one, version, checks)
        recorder = Recorder(store, one.worker, version=one.version, annotation=one.id)
        task = Task(hits, hits.hit(one.hit), one)
        source = HitSource(task, app.session, store, recorder, book, salt(app.project), now)

        def left(submitted: int | None) -> None:
            if source.task.assignment.code:
                codes.append(source.task.assignment.code)
            recorder.flush()
            store.close()
            app.exit()

        screen = HitScreen(
            source, app.project, app.session, app.caps, app.label_screen.picture.line,
            per_page=max(len(page.images) for page in task.hit.pages), prediction=False,
        )  # fmt: skip
        screen.use(source)
        screen.hand = Hand(recorder, screen, source.image_id)
        app.push_screen(screen, left)

    return open_first
