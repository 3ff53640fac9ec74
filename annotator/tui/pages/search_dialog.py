"""The search: a dialog for the query, and a thread that searches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar
from weakref import WeakKeyDictionary

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from annotator.curate.query import MODEL_KINDS, iter_terms
from annotator.curate.search import Searcher, SearchResults
from annotator.errors import AnnotatorError, QueryError
from annotator.items.refs import make_printable
from annotator.pages.source import ItemListSource
from annotator.project.saved_searches import read_searches
from annotator.tui.host import ScreenHost
from annotator.tui.pages.open import return_from_pages
from annotator.tui.pages.screen import PageScreen
from annotator.tui.workers import make_poster

StartSearch = Callable[[str], Callable[[], SearchResults]]
"""A function that prepares a query on the screen's thread; its result runs in another thread."""

_WORDS = (
    "path: cam3  *_top.jpg  path:cam3/*   open labelled skipped flagged",
    "label:NAME  by:NAME  note:TEXT  at>=2026-11-01  reviewed:NAME",
    "predicted:NAME  p>0.9  margin<0.1   camera=3  temp>20   size<32",
    'like: what looks like this item   text:"rusty edge"   -term: not',
)


class SearchScreen(ModalScreen[tuple[str, SearchResults] | None]):
    """A dialog for a query; its result is the query with what it found, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    class Searched(Message):
        """The results of `query`, or the reason that there are none."""

        def __init__(self, query: str, found: SearchResults | str) -> None:
            super().__init__()
            self.query, self.found = query, found

    def __init__(
        self,
        begin: StartSearch,
        before: str = "",
        *,
        heading: str = "Search",
        saved: Sequence[str] = (),
        at_once: bool = False,
    ) -> None:
        """Ask for a query; `before` is the last one, to be changed, or searched for `at_once`.

        `saved` are the names of the saved searches.
        """
        super().__init__()
        self._begin, self._before, self._heading = begin, before, heading
        self._saved, self._at_once = saved, at_once
        self._busy = False
        self._post = make_poster(self)

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog wide"):
            yield Label(self._heading, classes="heading", markup=False)
            yield Input(self._before, placeholder="all of these must hold", max_length=1000)
            for line in _WORDS:
                yield Label(line, classes="line", markup=False)
            if self._saved:
                names = "  ".join(f"@{make_printable(name)}" for name in self._saved)
                yield Label(f"saved: {names}", classes="line", markup=False)
            yield Label("enter searches · esc cancels", id="said", classes="dim", markup=False)

    def on_mount(self) -> None:
        """Search at once if the query is known."""
        if self._at_once:
            self._search(self._before)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search for the query."""
        self._search(event.value)

    def _search(self, query: str) -> None:
        if self._busy:
            return
        try:
            work = self._begin(query)
        except AnnotatorError as error:
            self._say(str(error))
            return
        self._busy = True
        self._say("searching …")
        arguments = (query, work)
        threading.Thread(target=self._run, args=arguments, name="search", daemon=True).start()

    def _run(self, query: str, work: Callable[[], SearchResults]) -> None:
        found: SearchResults | str
        try:
            found = work()
        except AnnotatorError as error:
            found = str(error)
        except Exception as error:  # a worker's boundary: report whatever ends the search
            found = f"the search failed: {error!r}"
        self._post(self.Searched(query, found))

    def on_search_screen_searched(self, message: Searched) -> None:
        """Return the results, or show why there are none."""
        self._busy, found = False, message.found
        if not self.is_current:
            return  # left meanwhile
        if isinstance(found, str):
            self._say(found)
        elif not len(found.rows):
            self._say("\n".join(["Nothing was found. Use fewer terms.", *found.notes]))
        else:
            self.dismiss((message.query, found))

    def _say(self, text: str) -> None:
        lines = "\n".join(make_printable(line) for line in text.splitlines())
        self.query_one("#said", Label).update(lines)

    def action_leave(self) -> None:
        """Leave without a query."""
        self.dismiss(None)


MOST = 960
"""The most results that become pages: twenty pages of 48."""
_SEARCHERS: WeakKeyDictionary[ScreenHost, tuple[Searcher, str]] = WeakKeyDictionary()
"""The searcher of each app, whose caches make the next search quick, and its last query."""


def open_search(host: ScreenHost) -> None:
    """Ask what to search for, and open the results as pages."""
    ask_query(host, "Search", lambda query, found: _open(host, query, found), MOST)


def ask_query(
    host: ScreenHost,
    heading: str,
    take: Callable[[str, SearchResults], object],
    most: int | None = None,
    query: str = "",
) -> None:
    """Ask for a query and call `take` with it and at most `most` results.

    A `query` that is known is searched for at once; the dialog stays open if nothing is found.
    """
    searcher, before = _searcher(host)
    session = host.session
    current = session.current.ref if session.current is not None else None

    def begin(query: str) -> Callable[[], SearchResults]:
        prepared = searcher.prepare(query, session.state, session.classes)
        hidden = host.hides_prediction or session.blind
        if hidden and any(term.kind in MODEL_KINDS for term in iter_terms(prepared.terms)):
            raise QueryError("The predictions are hidden. Show them first, then search for them.")
        return lambda: searcher.finish(prepared, most, current)

    def show(answer: tuple[str, SearchResults] | None) -> None:
        if answer is not None:
            _SEARCHERS[host] = searcher, answer[0]
            take(*answer)

    dialog = SearchScreen(
        begin,
        query or before,
        heading=heading,
        saved=tuple(saved_searches(host)),
        at_once=bool(query),
    )
    host.push_screen(dialog, show)


def last_query(host: ScreenHost) -> str:
    """Return the query that was searched for last; "" before the first."""
    return _SEARCHERS.get(host, (None, ""))[1]


def saved_searches(host: ScreenHost) -> dict[str, str]:
    """Return the saved searches of the project; none if their file is faulty."""
    try:
        return read_searches(host.project)
    except AnnotatorError:
        return {}  # a search by @NAME says what is wrong with the file


def _open(host: ScreenHost, query: str, found: SearchResults) -> None:
    project, session = host.project, host.session
    refs = [session.queue.refs[row] for row in found.rows.tolist()]
    session.queue.cache_rows(zip(refs, found.rows.tolist(), strict=True))
    more = f", the best {len(refs):,} of them here" if found.scores is not None else ""
    more = more or f", the first {len(refs):,} of them here"
    note = f"{found.total:,} found{more if found.total > len(refs) else ''}"
    note = "; ".join([note, *map(make_printable, found.notes)])
    source = ItemListSource(session, refs, f"search: {make_printable(query)}", note)

    screen = PageScreen(
        source, project, session, host.caps, host.pacer,
        prediction=not host.hides_prediction,
    )  # fmt: skip
    host.push_screen(screen, lambda submitted: return_from_pages(host, submitted))


def _searcher(host: ScreenHost) -> tuple[Searcher, str]:
    """Return the searcher of before while the pool and its features are the same."""
    features, refs = host.session.learner.features, host.session.queue.refs
    known, query = _SEARCHERS.get(host, (None, ""))
    if known is None or known.refs is not refs or known.features is not features:
        known = Searcher(refs, features, project=host.project)
        _SEARCHERS[host] = known, query
    return known, query
