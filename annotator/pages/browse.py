"""Pages of a session's open items: chosen, leased, answered, taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from annotator.items.refs import make_printable
from annotator.learn.strategies import Pick
from annotator.log.entries import Entry
from annotator.pages import orders
from annotator.pages.journal import PageJournal
from annotator.pages.orders import PageOrder, Rows
from annotator.pages.page import (
    Marks,
    Page,
    SelectionMode,
    answers_of_page,
    page_extra,
    page_from_entries,
)
from annotator.pages.request import PageRequest
from annotator.pages.source import PageLeases
from annotator.project.settings import ClassInfo
from annotator.session.session import LabelSession


class BrowseSource:
    """A `PageSource` of a session's pool. Items of its pages are on no other screen."""

    def __init__(
        self,
        session: LabelSession,
        wish: PageRequest,
        infos: Sequence[ClassInfo] = (),
        journal: PageJournal | None = None,
        expects: Callable[[], str] = lambda: "",
    ) -> None:
        """`expects` says in words what is still on its way (features, a first model), "" when
        nothing is: until then pages that need it are not replaced by random ones."""
        self.session, self.wish, self._journal, self._expects = session, wish, journal, expects
        self.waiting, self._size, self._settled = "", wish.per_page, False
        self._infos = {info.name: info for info in infos}
        self._leases = PageLeases(session.store, session.annotator, session.clock)
        self._out: dict[str, Page] = {}
        self._past: list[tuple[Page, str | None]] = []  # and its key, if any of it is in the log
        self._passed: set[int] = set()
        self._not: dict[int, set[str]] = {}  # rows that stayed open as exceptions, of which classes
        self._broken: set[int] = set()
        self._count = 0
        self._rng = np.random.default_rng([session.seed, session.state.seq])
        self._neighbours = orders.NeighbourSearch()
        self._groups: deque[Rows] = deque()
        self._again: deque[Page] = deque()
        if journal is not None and (page := journal.resumed()) is not None:
            self._resume(page)

    @property
    def title(self) -> str:
        label = make_printable(self.wish.label)
        if self.wish.order is PageOrder.SIMILAR:
            return f"similar to {make_printable(self.wish.like or '')}"
        return label or "pages"

    @property
    def no_pages_message(self) -> str:
        answered = self.session.is_answered
        others = sum(not answered(ref) for ref in self.session.queue.elsewhere)
        return self.wish.no_pages_message(self._settled, others)

    def describe(self, page: Page) -> ClassInfo | None:
        label = page.label
        return self._infos.get(label) or (ClassInfo(label) if label else None)

    def _refs_out(self) -> list[str]:
        return [ref for page in self._out.values() for ref in page.refs]

    # --- the next page

    def fit(self, most: int) -> None:
        self._size = max(1, min(most, self.wish.per_page))

    def next(self) -> Page | None:
        self.waiting = ""
        page = self._again.popleft() if self._again else self._made()
        if page is not None:
            self._out[page.key] = page
            page = self._leased(page)
        return page

    def _made(self) -> Page | None:
        rows = self._free()
        if not len(rows) and self._passed:
            self._passed.clear()  # all was seen: those that stayed open come once more
            rows = self._free()
        if not len(rows):
            return None
        page = self._chosen(rows)
        if page is None and self._settled and self._passed:
            self._passed.clear()  # among those that stayed open some may need a look
            page = self._chosen(self._free())
        if page is None and (words := self._expects()):
            self.waiting = words
            return None
        if self._settled:
            return None
        return page or self._random(rows, "no model knows enough yet: this page is random")

    def _free(self) -> Rows:
        """Pool rows that nobody has answered and that are on no screen."""
        queue = self.session.queue
        closed = queue.closed()
        # What waits in this session's own queue is as free as the rest.
        mine = [queue[place].row for place in range(len(queue))]
        closed[[row for row in mine if not self.session.is_answered(queue.refs[row])]] = False
        closed[[row for row in queue.rows(self._refs_out()) if row >= 0]] = True
        closed[[row for row in (*self._passed, *self._broken) if row >= 0]] = True
        return np.flatnonzero(~closed)

    def _chosen(self, rows: Rows) -> Page | None:
        order = self.wish.order
        if order is PageOrder.RANDOM:
            return self._random(rows)
        if order is PageOrder.SIMILAR:
            like = self.session.queue.row(self.wish.like or "")
            near = self._neighbours.of(self.session.learner, like, rows, self._size)
            return self._page(near.tolist()) if len(near) else None
        if order is PageOrder.CLUSTERS:
            return self._clustered(rows)
        return self._by_model(rows)

    def _by_model(self, rows: Rows) -> Page | None:
        learner, wish, open_ = self.session.learner, self.wish, len(rows)
        among = orders.sample_rows(rows, self._rng)
        rows, proba = orders.predict_rows(learner, among)
        if not len(rows):
            return None
        which = learner.classes.index(wish.label) if wish.label else None
        proba = orders.exclude_classes(rows, proba, self._not, learner.classes)
        if wish.order is PageOrder.NEEDED:
            allowed = wish.target * len(self.session.queue.refs) * len(among) / open_
            again = np.isin(rows, list(self._not))
            which, places = orders.rows_needing_review(
                proba, again, allowed, self._size, class_index=which, most_doubt=wish.most_doubt
            )
            self._settled = not len(places)
            if self._settled:
                return None
        else:
            asks = wish.select is SelectionMode.EXCEPTIONS
            which, places = orders.choose_rows(
                proba, wish.order, self._size, which, exceptions=asks
            )
        label = "" if which is None else learner.classes[which]
        if not len(places):
            return self._random(
                rows, f"nothing is taken for {make_printable(label)}: a random page"
            )
        return self._page(rows[places].tolist(), label)

    def _clustered(self, rows: Rows) -> Page | None:
        learner = self.session.learner
        if not self._groups:
            listed = learner.clusters.groups(self.session.queue.refs, rows)
            made = listed or orders.cluster_rows(learner, rows, self._size, self._rng)
            self._groups.extend(made)
        free = np.zeros(len(self.session.queue.refs), bool)
        free[rows] = True
        while self._groups:
            group = self._groups[0][free[self._groups[0]]].tolist()
            if len(group) <= self._size:
                self._groups.popleft()
            if group:
                asks = self.wish.select is SelectionMode.EXCEPTIONS and not self.wish.label
                name = learner.cluster_class(self.session.queue.refs[group[0]]) if asks else None
                return self._page(group[: self._size], name)
        return None

    def _random(self, rows: Rows, note: str = "") -> Page:
        draws = orders.random_draws(rows, self._size, self._rng)
        # A page of what was passed over before is no draw from all that is open.
        honest = {} if self._passed else {self.session.queue.refs[p.row]: p for p in draws}
        return self._page([pick.row for pick in draws], draws=honest, order="random", note=note)

    def _page(
        self,
        rows: Sequence[int],
        label: str | None = None,
        draws: dict[str, Pick] | None = None,
        order: str = "",
        note: str = "",
    ) -> Page:
        wish, queue, says = self.wish, self.session.queue, self.session.learner.says
        refs = tuple(queue.refs[row] for row in rows)
        queue.cache_rows(zip(refs, rows, strict=True))
        label = wish.label if label is None else label
        said = {ref: says(row, ref)[0] for ref, row in zip(refs, rows, strict=True)}
        chances = {ref: proba.get(label, 0.0) for ref, proba in said.items() if proba and label}
        excluded = {queue.refs[row]: tuple(self._not[row]) for row in rows if row in self._not}
        negative = wish.other(label, self.session.classes, multi=self.session.multi)
        self._count += 1
        return Page(
            refs, label, wish.select, order or wish.order, negative, draws or {}, chances, excluded,
            number=self._count, of=self._pages_left(), note=note,
        )  # fmt: skip

    def _pages_left(self) -> int:
        """Pages in all, as many as are known to be needed now."""
        after = self.session.progress.remaining - len(self._refs_out()) - self._size
        return self._count + -(-max(0, after) // self._size)

    # --- answers

    def mark(self, page: Page, marks: Marks) -> None:
        if self._journal is not None:
            self._journal.keep(page, marks)

    def submit(
        self,
        page: Page,
        marks: Marks,
        *,
        broken: Collection[str] = (),
        shown_ms: int | None = None,
        prediction: bool = False,
    ) -> list[Entry]:
        found = answers_of_page(page, marks, broken)
        entries: list[Entry] = []
        if found:
            # What is left open would make the rest of a random page no random sample.
            draws = page.draws if len(found) == len(page.refs) else None
            entries = self.session.decide(
                found, picked_by=f"page-{page.order}", draws=draws, shown_ms=shown_ms,
                extra=page_extra(page, prediction=prediction),
            )  # fmt: skip
        # Images that cannot be read belong to no pool. A page of nothing else was passed over.
        unreadable, rows = (broken if set(broken) < set(page.refs) else ()), self.session.queue.rows
        self._broken.update(rows([ref for ref in page.refs if ref in unreadable]))
        left = [ref for ref in page.refs if ref not in found and ref not in unreadable]
        excepted = page.select is SelectionMode.EXCEPTIONS
        self._passed.update(rows([ref for ref in left if not (excepted and ref in marks)]))
        for row in rows([ref for ref in left if excepted and ref in marks]):
            self._not.setdefault(row, set()).add(page.label)
        self._past.append((replace(page, selected=dict(marks)), page.key if entries else None))
        self._gone(page)
        return entries

    def undo(self) -> Page | None:
        last = self.session.last
        key = (last[0].extra or {}).get("page") if last else None
        if self._past and self._past[-1][1] in (None, key):
            page, wrote = self._past.pop()
        elif key and not self._past:
            page, wrote = page_from_entries(last), key  # of an earlier sitting
        else:
            return None  # something else was answered since
        if wrote:
            self.session.undo()
        rows = set(self.session.queue.rows(page.refs))
        self._passed, self._broken = self._passed - rows, self._broken - rows
        for row in rows & set(self._not):
            self._not[row].discard(page.label)
        self._out = {page.key: page, **self._out}
        return self._leased(page)

    def _gone(self, page: Page) -> None:
        self._out.pop(page.key, None)
        if self._journal is not None:
            self._journal.end(page)
        self._leases.hold(self._out.values())

    def _resume(self, page: Page) -> None:
        """Take up the page of a killed program, unless it was answered just then, or other pages
        are wanted now."""
        if not self.wish.fits(page):
            return
        state, known = self.session.state, self.session.queue.rows(page.refs)
        answered = any(
            (entry.extra or {}).get("page") == page.key
            for ref in page.refs
            for entry in state.standing.get(ref, [])
        )
        if not answered and all(row >= 0 for row in known):
            self._again.append(page)

    # --- leases

    def keep(self) -> None:
        self._leases.keep(self._out.values())

    def close(self) -> None:
        self._out.clear()
        self._leases.hold(())
        if self._journal is not None:
            self._journal.close()

    def _leased(self, page: Page) -> Page | None:
        """`page` without what came to another's screen just now."""
        queue = self.session.queue
        mine = {queue.refs[queue[place].row] for place in range(len(queue))}
        taken = self._leases.hold(self._out.values()) - mine
        if taken & set(page.refs):
            page = replace(page, refs=tuple(ref for ref in page.refs if ref not in taken))
            self._out[page.key] = page
        if not page.refs:
            del self._out[page.key]
        return page if page.refs else None
