"""Pages of a session's open items, chosen by a request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import make_printable, plural
from annotator.learn.class_levels import TreeClasses
from annotator.learn.strategies import Pick
from annotator.learn.targets import ONE_CLASS, TagSets, Targets
from annotator.pages import orders
from annotator.pages.journal import PageJournal
from annotator.pages.orders import Rows
from annotator.pages.page import Page, SelectionMode, without_items
from annotator.pages.request import PageOrder, PageRequest
from annotator.pages.source import SessionSource, SubmittedPage
from annotator.pages.tag_sets import predicted_sets
from annotator.project.label_sets import set_probability
from annotator.project.settings import ClassInfo
from annotator.session.refine import narrow_probabilities
from annotator.session.session import LabelSession


class BrowseSource(SessionSource):
    """A source of open items, chosen as a `PageRequest` says; no other screen shows them."""

    def __init__(
        self,
        session: LabelSession,
        request: PageRequest,
        infos: Sequence[ClassInfo] = (),
        journal: PageJournal | None = None,
        expects: Callable[[], str] = lambda: "",
    ) -> None:
        """Serve the pages that `request` asks for.

        `expects` names what is still on its way (features, a first model), "" if nothing is:
        until then no random page stands in for one that needs it.
        """
        super().__init__(session, journal)
        self.request, self._expects = request, expects
        self._size, self._settled = request.per_page, False
        self._infos = {info.name: info for info in infos}
        self._skipped: set[int] = set()
        self._broken: set[int] = set()
        self._count = 0
        self._rng = np.random.default_rng([session.seed, session.state.seq])
        self._neighbours = orders.NeighbourSearch()
        self._clusters: deque[Rows] = deque()
        self._resume(request.fits)
        self._ready = deque(filter(None, map(self._without_answered, self._ready)))

    @property
    def title(self) -> str:
        """The class, or the item that the pages are similar to."""
        label = make_printable(self.request.label)
        if self.request.order is PageOrder.SIMILAR:
            return f"similar to {make_printable(self.request.similar_to or '')}"
        return label or "pages"

    @property
    def _excluded(self) -> dict[int, set[str]]:
        return self.session.learner.excluded

    @property
    def no_pages_message(self) -> str:
        """The reason why there are no more pages."""
        answered = self.session.is_answered
        others = sum(not answered(ref) for ref in self.session.queue.leased_by_others)
        return self.request.no_pages_message(self._settled, others)

    def describe(self, page: Page) -> ClassInfo | None:
        """Return what the project says about the class of a page."""
        label = page.label
        return self._infos.get(label) or (ClassInfo(label) if label else None)

    def fit(self, most: int) -> None:
        """Take at most `most` items for a page."""
        self._size = max(1, min(most, self.request.per_page))

    def _without_answered(self, page: Page) -> Page | None:
        """Return a resumed page without the items that were answered since; None for no item.

        The items that are left do not count as a random draw any more.
        """
        left = [ref for ref in page.refs if not self.session.is_answered(ref)]
        if len(left) == len(page.refs):
            return page
        gone = plural(len(page.refs) - len(left), "item has", "items have")
        note = f"{gone} an answer by now, and left this page"
        rest = without_items(page, set(page.refs) - set(left))
        return replace(rest, draws={}, note=note) if left else None

    def _make_page(self) -> Page | None:
        rows = self._open_rows()
        if not len(rows) and self._skipped:
            self._skipped.clear()  # all was seen: what stayed open comes once more
            rows = self._open_rows()
        if not len(rows):
            return None
        page = self._choose_page(rows)
        if page is None and self._settled and self._skipped:
            self._skipped.clear()  # some that stayed open may need a look
            page = self._choose_page(self._open_rows())
        if page is None and (expected := self._expects()):
            self.waiting = expected
            return None
        if self._settled:
            return None
        return page or self._random_page(rows, "random page: no model of these classes yet")

    def _open_rows(self) -> Rows:
        """Return the pool rows without an answer that are on no screen."""
        queue = self.session.queue
        closed = queue.closed()
        # What waits in this session's own queue is as free as the rest.
        mine = np.array([queue[place].row for place in range(len(queue))], np.int64)
        asked = mine if queue.within is None else mine[queue.inside()[mine]]
        closed[[row for row in asked if not self.session.is_answered(queue.refs[row])]] = False
        closed[[row for row in queue.rows(self._open_refs()) if row >= 0]] = True
        closed[[row for row in (*self._skipped, *self._broken) if row >= 0]] = True
        return np.flatnonzero(~closed)

    def _choose_page(self, rows: Rows) -> Page | None:
        order = self.request.order
        if order is PageOrder.RANDOM:
            return self._random_page(rows)
        if order is PageOrder.SIMILAR:
            like = self.session.queue.row(self.request.similar_to or "")
            near = self._neighbours.nearest(self.session.learner, like, rows, self._size)
            return self._page(near.tolist()) if len(near) else None
        if order is PageOrder.CLUSTERS:
            return self._page_of_cluster(rows)
        return self._page_by_model(rows)

    def _page_by_model(self, rows: Rows) -> Page | None:
        learner, request, open_ = self.session.learner, self.request, len(rows)
        sampled = orders.sample_rows(rows, self._rng)
        rows, proba = orders.predict_rows(learner, sampled)
        # Nothing has shown yet how often the names alone are wrong.
        if not len(rows) or (request.order is PageOrder.NEEDED and learner.predicts_by_name):
            return None
        rows, proba, names, targets = self._opinions(rows, proba)
        class_index = names.index(request.label) if request.label else None
        if request.order is PageOrder.NEEDED:
            allowed = request.target * len(self.session.queue.refs) * len(sampled) / open_
            again = np.isin(rows, list(self._excluded))
            class_index, places = orders.rows_needing_review(
                proba,
                again,
                allowed,
                self._size,
                class_index=class_index,
                most_doubt=request.most_doubt,
                factors=learner.ranking.doubt_factors if learner.ranking else None,
            )
            self._settled = not len(places)
            if self._settled:
                return None
        else:
            asks = request.select is SelectionMode.EXCEPTIONS
            class_index, places = orders.choose_rows(
                proba, request.order, self._size, class_index, exceptions=asks, targets=targets
            )
        label = "" if class_index is None else names[class_index]
        if not len(places):
            return self._random_page(
                rows, f"random page: no item is predicted as {make_printable(label)}"
            )
        note = "from the names alone" if learner.predicts_by_name else ""
        return self._page(rows[places].tolist(), label, note=note)

    def _opinions(
        self, rows: Rows, proba: NDArray[np.float32]
    ) -> tuple[Rows, NDArray[np.float32], Sequence[str], Targets]:
        """Return the rows, their probabilities, what these are of, and how a label is predicted.

        Where an item may have several classes, a page that asks for exceptions is about a set.
        """
        learner, request = self.session.learner, self.request
        targets = learner.targets
        if not isinstance(targets, TagSets):
            kept = orders.exclude_classes(rows, proba, self._ruled_out(), learner.classes)
            if isinstance(targets, TreeClasses):
                refining = self.session.mode.refines is not None
                choices = np.isin(learner.classes, self.session.classes) if refining else None
                label = learner.classes.index(request.label) if request.label else None
                told, kept = orders.collapse_tree(kept, targets, label, choices)
                rows, targets = rows[told], ONE_CLASS
            return rows, kept, learner.classes, targets
        if request.select is not SelectionMode.EXCEPTIONS:
            return rows, proba, learner.classes, targets
        return *predicted_sets(
            rows, proba, targets, learner.classes, self._excluded, request.label
        ), ONE_CLASS

    def _page_of_cluster(self, rows: Rows) -> Page | None:
        learner = self.session.learner
        if not self._clusters:
            listed = learner.clusters.groups(self.session.queue.refs, rows)
            made = listed or orders.cluster_rows(learner, rows, self._size, self._rng)
            self._clusters.extend(made)
        free = np.zeros(len(self.session.queue.refs), bool)
        free[rows] = True
        while self._clusters:
            group = self._clusters[0][free[self._clusters[0]]].tolist()
            if len(group) <= self._size:
                self._clusters.popleft()
            if group:
                asks = self.request.select is SelectionMode.EXCEPTIONS and not self.request.label
                name = learner.cluster_class(self.session.queue.refs[group[0]]) if asks else None
                return self._page(group[: self._size], name)
        return None

    def _random_page(self, rows: Rows, note: str = "") -> Page:
        draws = orders.random_draws(rows, self._size, self._rng)
        # A page of items that were skipped before, or of those of a query, is not a draw from all
        # open items.
        refs, part = self.session.queue.refs, self._skipped or self.session.within
        kept = {} if part else {refs[pick.row]: pick for pick in draws}
        return self._page([pick.row for pick in draws], draws=kept, order="random", note=note)

    def _page(
        self,
        rows: Sequence[int],
        label: str | None = None,
        draws: dict[str, Pick] | None = None,
        order: str = "",
        note: str = "",
    ) -> Page:
        request, queue = self.request, self.session.queue
        says = self.session.learner.predict_with_source
        refs = tuple(queue.refs[row] for row in rows)
        queue.cache_rows(zip(refs, rows, strict=True))
        label = request.label if label is None else label
        probas = {ref: says(row, ref)[0] for ref, row in zip(refs, rows, strict=True)}
        if self.session.mode.refines is not None:
            classes = self.session.classes
            probas = {
                ref: narrow_probabilities(proba or {}, classes) for ref, proba in probas.items()
            }
        chances = {
            ref: self._chance(proba, label) for ref, proba in probas.items() if proba and label
        }
        excluded = {
            queue.refs[row]: tuple(self._excluded[row]) for row in rows if row in self._excluded
        }
        negative = request.negative_for(label, self.session.classes, multi=self.session.multi)
        self._count += 1
        return Page(
            refs, label, request.select, order or request.order, negative, draws or {}, chances,
            excluded, number=self._count, of=self._pages_left(), note=note,
        )  # fmt: skip

    def _chance(self, proba: Mapping[str, float], label: str) -> float:
        """Return the probability of a class or, if the items get a set of classes, of the set."""
        if self.session.multi and self.request.select is SelectionMode.EXCEPTIONS:
            return set_probability(proba, label, self.session.classes)
        branch = self.session.learner.tree.branch(label)
        return float(sum(proba.get(name, 0.0) for name in branch))

    def _ruled_out(self) -> Mapping[int, Collection[str]]:
        """Return the classes that rows do not have: with a class, all below it are ruled out."""
        branch = self.session.learner.tree.branch
        return {
            row: {kind for name in names for kind in branch(name)}
            for row, names in self._excluded.items()
        }

    def _pages_left(self) -> int:
        """Return the number of pages in all, as far as it is known now."""
        after = self.session.progress.remaining - len(self._open_refs()) - self._size
        return self._count + -(-max(0, after) // self._size)

    # --- answers

    def _note_answers(self, submitted: SubmittedPage, answers: Mapping[str, str | None]) -> None:
        page, marks, broken = submitted.page, submitted.marks, submitted.broken
        # Images that cannot be read belong to no pool. A page of nothing else was skipped.
        unreadable, rows = (broken if set(broken) < set(page.refs) else ()), self.session.queue.rows
        self._broken.update(rows([ref for ref in page.refs if ref in unreadable]))
        left = [ref for ref in page.refs if ref not in answers and ref not in unreadable]
        excepted = page.select is SelectionMode.EXCEPTIONS
        self._skipped.update(rows([ref for ref in left if not (excepted and ref in marks)]))
        for row in rows([ref for ref in left if excepted and ref in marks]):
            self._excluded.setdefault(row, set()).add(page.label)

    def _note_undo(self, page: Page) -> None:
        rows = set(self.session.queue.rows(page.refs))
        self._skipped, self._broken = self._skipped - rows, self._broken - rows
        for row in rows & set(self._excluded):
            self._excluded[row].discard(page.label)
            if not self._excluded[row]:
                del self._excluded[row]
