"""Pages on the labelling screen: which to open, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annotator.errors import RefError
from annotator.hits.assignments import Assignments, SubmitChecks, project_salt, worker_id
from annotator.hits.files import HitSet
from annotator.hits.recorder import Recorder
from annotator.hits.work import HitSource, HitTask
from annotator.items.refs import make_printable
from annotator.log.store import SqliteStore
from annotator.pages import (
    BrowseSource,
    PageOrder,
    PageRequest,
    SelectionMode,
    open_journal,
    with_target,
)
from annotator.pages.identities import IdentitySource
from annotator.project.clusters import read_clusters
from annotator.tui.host import ScreenHost
from annotator.tui.pages.chooser import PageChooserScreen
from annotator.tui.pages.hit import HitScreen
from annotator.tui.pages.identities import IdentitiesScreen
from annotator.tui.pages.pointer_recorder import PointerRecorder, epoch_ms
from annotator.tui.pages.screen import PageScreen


def open_first_pages(host: ScreenHost, wish: PageRequest, *, prediction: bool) -> None:
    """Open pages in place of the labelling screen; leaving them ends the program."""
    if wish.similar_to and host.session.queue.row(wish.similar_to) < 0:
        host.exit(RefError(f"{make_printable(wish.similar_to)} is no item of this project: see refs.csv"))
        return
    host.hides_prediction = not prediction
    open_pages(host, wish, host.exit, keep="browse")


def open_pages(
    host: ScreenHost, wish: PageRequest, on_left: Callable[[], object] | None = None, keep: str = ""
) -> None:
    """Open pages; `then` is called when they are left. `keep` names the journal of the page on
    screen: the next pages of that name begin with it."""
    project, session = host.project, host.session
    journal = open_journal(project, session.annotator, keep) if keep else None
    source = BrowseSource(
        session, wish, project.settings.classes, journal, lambda: host.upcoming_refs
    )

    def left(submitted: int | None) -> None:
        if on_left is not None:
            on_left()
            return
        if submitted:
            host.say(f"{submitted} pages submitted")
        host.sync()

    screen = PageScreen(
        source, project, session, host.caps, host.pacer, per_page=wish.per_page,
        prediction=not host.hides_prediction,
    )  # fmt: skip
    if isinstance(session.store, SqliteStore):
        worker = worker_id(project, session.annotator)
        screen.pointer_recorder = PointerRecorder(Recorder(session.store, worker), screen)
    host.push_screen(screen, left)


def choose_pages(host: ScreenHost) -> None:
    """Choose which pages, and open them."""

    def choose(wish: PageRequest | None) -> None:
        if wish is not None:
            open_pages(host, with_target(wish, host.project.settings), keep="pages")

    knows = host.session.ranking is not None and host.session.ranking.model is not None
    host.push_screen(PageChooserScreen(host.session.classes, knows), choose)


def open_similar(host: ScreenHost, ref: str = "", label: str = "") -> None:
    """Pages of what is most like an item: the one on screen."""
    if not ref:
        current = host.session.current
        if current is None:
            return
        ref = current.ref
        said = host.session.prediction
        label = max(said, key=said.__getitem__) if said else ""
    if not host.session.has_features:
        host.say("nothing is similar without features: they are not there yet", "warn")
        return
    open_pages(host, PageRequest(label, SelectionMode.POSITIVES_ONLY, PageOrder.SIMILAR, similar_to=ref))


def hit_opener(
    hits: HitSet, assignment: str, version: str, checks: SubmitChecks, codes: list[str]
) -> Callable[[ScreenHost], None]:
    """Opens the pages of an assignment from where they were left; leaving them ends the program.

    The completion code is added to `codes` once the HIT is done.
    """

    def open_first(host: ScreenHost) -> None:
        store = SqliteStore(host.project.labels_file)
        book = Assignments(store, epoch_ms)
        one = next(one for one in book.assignments(hits.name) if one.id == assignment)
        one = book.begin(one, version, checks)
        recorder = Recorder(store, one.worker, version=one.version, annotation=one.id)
        task = HitTask(hits, hits.hit(one.hit), one)
        source = HitSource(
            task, host.session, store, recorder, book, project_salt(host.project), epoch_ms
        )

        def left(submitted: int | None) -> None:
            if source.task.assignment.code:
                codes.append(source.task.assignment.code)
            recorder.flush()
            store.close()
            host.exit()

        screen = HitScreen(
            source, host.project, host.session, host.caps, host.pacer,
            per_page=max(len(page.images) for page in task.hit.pages), prediction=False,
        )  # fmt: skip
        screen.use(source)
        screen.pointer_recorder = PointerRecorder(recorder, screen, source.image_id)
        host.push_screen(screen, left)

    return open_first


def open_identities(host: ScreenHost, loose: Sequence[str], *, word: str, again: bool) -> None:
    """`loose`: items in no cluster, shown after the clusters. Leaving ends the program."""
    project, session = host.project, host.session
    kind = "identities-again" if again else "identities"
    journal = open_journal(project, session.annotator, kind)
    source = IdentitySource(
        session, project, read_clusters(project), loose, word=word, journal=journal, again=again
    )
    screen = IdentitiesScreen(source, project, session, host.caps, host.pacer, prediction=False)
    host.push_screen(screen, lambda _: host.exit())
