"""Opening pages, similar items, HITs and identities from the labelling screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from annotator.errors import RefError
from annotator.hits.assignments import Assignments, HitTask, SubmitChecks, project_salt, worker_id
from annotator.hits.model import HitSet
from annotator.hits.recorder import Recorder
from annotator.hits.replay import PageReplay, ReplaySource
from annotator.hits.work import HitSource
from annotator.items.refs import make_printable, plural
from annotator.log.store.open import open_store
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
from annotator.tui.label.class_list import count_labels
from annotator.tui.pages.dialogs import page_choices
from annotator.tui.pages.hit import HitScreen
from annotator.tui.pages.identities import IdentitiesScreen
from annotator.tui.pages.pointer_recorder import epoch_ms
from annotator.tui.pages.replay import ReplayScreen
from annotator.tui.pages.screen import PageScreen
from annotator.tui.widgets.choices import ChoiceScreen

if TYPE_CHECKING:
    from annotator.proposals.identities import FaceGroups


def open_first_pages(host: ScreenHost, request: PageRequest, *, prediction: bool) -> None:
    """Open pages in place of the labelling screen; leaving them ends the program."""
    similar_to = request.similar_to
    if similar_to and host.session.queue.row(similar_to) < 0:
        host.exit(
            RefError(
                f"{make_printable(similar_to)} is not an item of this project: see its refs.csv"
            )
        )
        return
    host.hides_prediction = not prediction
    open_pages(host, request, host.exit, keep="browse")


def open_pages(
    host: ScreenHost,
    request: PageRequest,
    on_left: Callable[[], object] | None = None,
    keep: str = "",
) -> None:
    """Open pages; `on_left` is called when the annotator leaves them.

    `keep` names the journal of the page on screen: the next pages of that name begin with it.
    """
    project, session = host.project, host.session
    journal = open_journal(project, session.annotator, keep) if keep else None
    source = BrowseSource(
        session, request, project.settings.classes, journal, lambda: host.awaited_work
    )
    recorder = Recorder(session.store, worker_id(project, session.annotator))
    screen = PageScreen(
        source, project, session, host.caps, host.pacer, per_page=request.per_page,
        prediction=not host.hides_prediction, recorder=recorder,
    )  # fmt: skip

    def left(submitted: int | None) -> None:
        if on_left is not None:
            on_left()
        else:
            return_from_pages(host, submitted)

    host.push_screen(screen, left)


def return_from_pages(host: ScreenHost, submitted: int | None) -> None:
    """Show the labelling screen again, with the number of pages submitted."""
    if submitted:
        host.say(f"{plural(submitted, 'page')} submitted")
    host.sync()


def choose_pages(host: ScreenHost) -> None:
    """Ask which pages to open, and open them."""

    def choose(request: PageRequest | None) -> None:
        if request is not None:
            open_pages(host, with_target(request, host.project.settings), keep="pages")

    ranking = host.session.ranking
    has_model = ranking is not None and ranking.model is not None
    choices = page_choices(count_labels(host.session), has_model)
    does = "enter opens the pages"
    host.push_screen(ChoiceScreen(choices, heading="Pages", does=does), choose)


def open_similar(host: ScreenHost, ref: str = "", label: str = "") -> None:
    """Open pages of the items most similar to `ref`, or else to the item on screen."""
    if not ref:
        current = host.session.current
        if current is None:
            return
        ref = current.ref
        proba = host.session.prediction
        label = max(proba, key=proba.__getitem__) if proba else ""
    if not host.session.has_features:
        host.say("Similar items need features, which are not computed yet", "warn")
        return
    open_pages(
        host,
        PageRequest(label, SelectionMode.POSITIVES_ONLY, PageOrder.SIMILAR, similar_to=ref),
    )


def hit_opener(
    hits: HitSet, assignment_id: str, version: str, checks: SubmitChecks, codes: list[str]
) -> Callable[[ScreenHost], None]:
    """Return the function that opens the pages of an assignment from where they were left.

    Leaving them ends the program. The completion code is added to `codes` once the HIT is done.
    """

    def open_first(host: ScreenHost) -> None:
        store = open_store(host.project)
        assignments = Assignments(store, epoch_ms)
        standing = assignments.assignments(hits.name)
        assignment = next(one for one in standing if one.id == assignment_id)
        assignment = assignments.begin(assignment, version, checks)
        recorder = Recorder(
            store, assignment.worker, version=assignment.version, annotation=assignment.id
        )
        task = HitTask(hits, hits.hit(assignment.hit), assignment)
        salt = project_salt(host.project)
        source = HitSource(task, host.session, store, recorder, assignments, salt, epoch_ms)

        def left(submitted: int | None) -> None:
            if source.task.assignment.code:
                codes.append(source.task.assignment.code)
            recorder.flush()
            store.close()
            host.exit()

        host.push_screen(HitScreen(source, host.project, host.session, host.caps, host.pacer), left)

    return open_first


def replay_opener(replays: Sequence[PageReplay], speed: float) -> Callable[[ScreenHost], None]:
    """Return the function that opens a replay. Leaving it ends the program."""

    def open_first(host: ScreenHost) -> None:
        screen = ReplayScreen(
            ReplaySource(replays), host.project, host.session, host.caps, host.pacer, speed=speed,
            per_page=max(len(replay.page.refs) for replay in replays),
        )  # fmt: skip
        host.push_screen(screen, lambda _: host.exit())

    return open_first


def open_identities(
    host: ScreenHost, loose: Sequence[str], *, word: str, again: bool,
    faces: FaceGroups | None = None,
) -> None:  # fmt: skip
    """Open the clusters, then `loose`, the items in no cluster. Leaving ends the program.

    With `faces` the annotator may change their eps.
    """
    project, session = host.project, host.session
    kind = "identities-again" if again else "identities"
    journal = open_journal(project, session.annotator, kind)
    source = IdentitySource(
        session, project, read_clusters(project), loose, word=word, journal=journal, again=again
    )
    screen = IdentitiesScreen(
        source, project, session, host.caps, host.pacer, prediction=False, faces=faces
    )
    host.push_screen(screen, lambda _: host.exit())
