"""Pages on the labelling screen: which to open, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from annotator.byproducts import Recorder, worker_id
from annotator.errors import RefError
from annotator.pages import Browse, Order, Select, Wish, journal_for, with_target
from annotator.refs import printable
from annotator.store import SqliteStore
from annotator.tui.hand import Hand
from annotator.tui.screens.page import PageScreen
from annotator.tui.screens.wishes import WishScreen

if TYPE_CHECKING:
    from annotator.tui.labeller import Labeller


def open_first(app: Labeller, wish: Wish, *, prediction: bool) -> None:
    """Open pages in place of the labelling screen; leaving them ends the program."""
    if wish.like and app.session.queue.row(wish.like) < 0:
        app.exit(RefError(f"{printable(wish.like)} is no item of this project: see refs.csv"))
        return
    app.label_screen.sidebar.hides_prediction = not prediction
    open_pages(app, wish, app.exit, keep="browse")


def open_pages(
    app: Labeller, wish: Wish, then: Callable[[], object] | None = None, keep: str = ""
) -> None:
    """Open pages; `then` is called when they are left. `keep` names the journal of the page on
    screen: the next pages of that name begin with it."""
    project, session = app.project, app.session
    journal = journal_for(project, session.annotator, keep) if keep else None
    source = Browse(session, wish, project.settings.classes, journal, lambda: app.coming)

    def left(submitted: int | None) -> None:
        if then is not None:
            then()
            return
        if submitted:
            app.label_screen.say(f"{submitted} pages submitted")
        app.label_screen.sync()

    picture = app.label_screen.picture
    screen = PageScreen(
        source, project, session, app.caps, picture.line, per_page=wish.per_page,
        prediction=not app.label_screen.sidebar.hides_prediction,
    )  # fmt: skip
    if isinstance(session.store, SqliteStore):
        worker = worker_id(project, session.annotator)
        screen.hand = Hand(Recorder(session.store, worker), screen)
    app.push_screen(screen, left)


def pages(app: Labeller) -> None:
    """Choose which pages, and open them."""

    def choose(wish: Wish | None) -> None:
        if wish is not None:
            open_pages(app, with_target(wish, app.project.settings), keep="pages")

    knows = app.session.ranking is not None and app.session.ranking.model is not None
    app.push_screen(WishScreen(app.session.classes, knows), choose)


def similar(app: Labeller, ref: str = "", label: str = "") -> None:
    """Pages of what is most like an item: the one on screen."""
    if not ref:
        current = app.session.current
        if current is None:
            return
        ref = current.ref
        said = app.session.prediction
        label = max(said, key=said.__getitem__) if said else ""
    if not app.session.has_features:
        app.label_screen.say("nothing is similar without features: they are not there yet", "warn")
        return
    open_pages(app, Wish(label, Select.POSITIVES_ONLY, Order.SIMILAR, like=ref))
