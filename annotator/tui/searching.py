"""Search on the labelling screen: a question, and its results as pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from annotator.pages.listed import Listed
from annotator.refs import printable
from annotator.search import Results, Searcher, parse
from annotator.tui.screens.page import PageScreen
from annotator.tui.screens.search import SearchScreen

if TYPE_CHECKING:
    from annotator.tui.labeller import Labeller

MOST = 960
"""Results that become pages: twenty pages of 48."""
_SEARCHERS: WeakKeyDictionary[Labeller, tuple[Searcher, str]] = WeakKeyDictionary()
"""What each app searches with, which keeps what makes the next search quick; and its last query."""


def search(app: Labeller) -> None:
    """Ask what to search for, and open the results."""
    searcher, before = _searcher(app)
    session = app.session
    current = session.current.ref if session.current is not None else None

    def begin(query: str) -> Callable[[], Results]:
        terms = parse(query)
        mask = searcher.conditions(terms, session.state, session.classes)
        return lambda: searcher.rank(terms, mask, MOST, current)

    def show(answer: tuple[str, Results] | None) -> None:
        if answer is not None:
            _SEARCHERS[app] = searcher, answer[0]
            _open(app, *answer)

    app.push_screen(SearchScreen(begin, before), show)


def _open(app: Labeller, query: str, found: Results) -> None:
    project, session = app.project, app.session
    refs = [session.queue.refs[row] for row in found.rows.tolist()]
    session.queue.know(zip(refs, found.rows.tolist(), strict=True))
    more = f", the best {len(refs):,} of them here" if found.scores is not None else ""
    more = more or f", the first {len(refs):,} of them here"
    note = f"{found.total:,} found{more if found.total > len(refs) else ''}"
    source = Listed(session, refs, f"search: {printable(query)}", note)

    def left(submitted: int | None) -> None:
        if submitted:
            app.label_screen.say(f"{submitted} pages submitted")
        app.label_screen.sync()

    picture = app.label_screen.picture
    screen = PageScreen(
        source, project, session, app.caps, picture.line,
        prediction=not app.label_screen.sidebar.hides_prediction,
    )  # fmt: skip
    app.push_screen(screen, left)


def _searcher(app: Labeller) -> tuple[Searcher, str]:
    """The one of before, while the pool and its features are the same."""
    features, refs = app.session.learner.features, app.session.queue.refs
    known, query = _SEARCHERS.get(app, (None, ""))
    if known is None or known.refs is not refs or known.features is not features:
        known = Searcher(refs, features, folder=str(app.project.folder))
        _SEARCHERS[app] = known, query
    return known, query
