"""Sources of pages, which take their answers: the contract, and what all sources share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from annotator.errors import StoreError
from annotator.items.refs import plural
from annotator.learn.strategies import Pick
from annotator.log.entries import Entry
from annotator.log.store.holders import new_holder
from annotator.log.store.protocol import Lease, Store
from annotator.pages.journal import PageJournal
from annotator.pages.page import (
    PER_PAGE,
    Marks,
    Page,
    SelectionMode,
    answers_of_page,
    page_extra,
    page_from_entries,
    without_items,
)
from annotator.project.label_sets import is_known_label
from annotator.project.settings import ClassInfo
from annotator.session.late import describe_beaten
from annotator.session.queue import LEASE_SECONDS
from annotator.session.session import LabelSession


@dataclass(frozen=True, slots=True)
class SubmittedPage:
    """A page as the annotator submits it."""

    page: Page
    marks: Marks
    broken: Collection[str] = ()
    """Items that could not be shown: they get no answer."""
    shown_ms: int | None = None
    prediction: bool = False
    """True if the model's opinion was on screen."""


class PageSource(ABC):
    """A source of pages that takes their answers. Called on the screen's thread only."""

    waiting = ""
    """The reason why `next` gives no page yet; "" if no page is left."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The name of the pages, in a few words."""

    @property
    def no_pages_message(self) -> str:
        """The message for an annotator who has seen every page; "" for the usual one."""
        return ""

    def note(self, page: Page) -> str:
        """Return the line above a page, as it is now; "" for the usual one."""
        return page.note

    def describe(self, page: Page) -> ClassInfo | None:
        """Return what the project says about the class of a page; None if it asks for none."""
        return None

    def fit(self, most: int) -> None:  # noqa: B027  a source may do nothing
        """Take at most `most` items for a page, as many as fit in the window.

        A source of pages of a fixed size does nothing: the screen shows a large page in parts.
        """

    @abstractmethod
    def next(self) -> Page | None:
        """Return the next page; the screen asks for it before it submits the page on screen."""

    def mark(self, page: Page, marks: Marks) -> None:  # noqa: B027  a source may do nothing
        """Keep a changed selection, so that a killed program comes back to it."""

    def submit(
        self,
        page: Page,
        marks: Marks,
        *,
        broken: Collection[str] = (),
        shown_ms: int | None = None,
        prediction: bool = False,
    ) -> list[Entry]:
        """Write the answers as one group and return them; see `SubmittedPage`.

        Raises `StoreError`, or `PageNotReady` if the annotator must look at the page again; then
        nothing is written.
        """
        return self._write(SubmittedPage(page, marks, broken, shown_ms, prediction))

    @abstractmethod
    def _write(self, submitted: SubmittedPage) -> list[Entry]:
        """Write the answers of a page."""

    @property
    @abstractmethod
    def can_undo(self) -> bool:
        """True if `undo` has a page to take back."""

    @abstractmethod
    def undo(self) -> Page | None:
        """Take back the page answered last, and return it with its selection; None without one."""

    def tick(self) -> None:  # noqa: B027  a source may do nothing
        """Do what is due about once a second: renew leases, write what has waited."""

    def close(self) -> None:  # noqa: B027  a source may do nothing
        """End: pages that were not submitted become free for other annotators."""


class PageLeases:
    """Leases on the items of pages that are not answered yet, against a second annotator."""

    def __init__(self, store: Store, annotator: str, clock: Callable[[], float]) -> None:
        # Under a name of their own: the queue would take abandoned ones up one by one.
        self._store, self._annotator, self._clock = store, f"{annotator} (pages)", clock
        self._holder, self._renew_at = new_holder(), float("inf")

    def lease(self, pages: Iterable[Page]) -> set[str]:
        """Lease the items of these pages and no others; return those that others hold."""
        leases = [Lease(ref, page.order) for page in pages for ref in page.refs]
        now = self._clock()
        try:
            granted = self._store.lease(
                leases, self._holder, self._annotator, now, now + LEASE_SECONDS
            )
        except StoreError:
            return set()  # a lease is a courtesy; what matters is that labels can be written
        self._renew_at = now + LEASE_SECONDS / 2 if leases else float("inf")
        return {lease.ref for lease in leases} - granted

    def held_by_others(self) -> set[str]:
        """Return the items that other screens hold now."""
        try:
            return self._store.leased_by_others(self._clock(), self._holder)
        except StoreError:
            return set()

    def renew(self, pages: Iterable[Page]) -> None:
        """Renew the leases when half their time is over."""
        if self._clock() > self._renew_at:
            self.lease(pages)


class SessionSource(PageSource):
    """A base for pages of a session's items: leases, the journal, answers and undo.

    A subclass makes pages (`_make_page`) and says what a selection answers (`_answers`).
    """

    def __init__(
        self, session: LabelSession, journal: PageJournal | None = None, *, leased: bool = True
    ) -> None:
        """Serve pages of `session`; `journal` keeps the selection, `leased` shuts others out."""
        self.session, self._journal = session, journal
        self._leases = (
            PageLeases(session.store, session.annotator, session.clock) if leased else None
        )
        self._open: dict[str, Page] = {}
        """Pages that were given out and not submitted, by key."""
        self._unanswered: dict[str, set[str]] = {}
        """The items of pages given out that had no answer then: only then is one taken."""
        self._late = ""
        """A line about the last page: what others had answered before, or why it is lost."""
        self._ready: deque[Page] = deque()
        """Pages that come before any new one."""
        self._submitted: list[tuple[Page, str | None]] = []
        """Submitted pages, each with its key if any of it is in the log."""

    @abstractmethod
    def _make_page(self) -> Page | None:
        """Make a new page; None if there is none left, or none yet (then set `waiting`)."""

    def _answers(self, submitted: SubmittedPage) -> Mapping[str, str | None]:
        """Return the label of each answered item; None skips it."""
        return answers_of_page(submitted.page, submitted.marks, submitted.broken)

    def _draws(self, page: Page, answers: Collection[str]) -> Mapping[str, Pick] | None:
        """Return how the answered items were drawn, for the error estimate."""
        # What is left open would make the rest of a random page no random sample.
        return page.draws if len(answers) == len(page.refs) else None

    def _extra(self, submitted: SubmittedPage) -> Mapping[str, Any]:
        """Return what the rows of a page say about it."""
        return page_extra(submitted.page, prediction=submitted.prediction)

    def _note_answers(self, submitted: SubmittedPage, answers: Mapping[str, str | None]) -> None:
        """Remember what a written page means for the pages to come."""

    def _note_undo(self, page: Page) -> None:
        """Forget what `_note_answers` has remembered of a page."""

    def _can_undo_earlier(self, last: Sequence[Entry]) -> bool:
        """Return whether `last`, a page of an earlier session, may come back here."""
        return True

    def next(self) -> Page | None:
        """Return the next page; None if other annotators hold all of its items."""
        self.waiting = ""
        page = self._ready.popleft() if self._ready else self._make_page()
        if page is None:
            return None
        self._open[page.key] = page
        return self._lease(page)

    def note(self, page: Page) -> str:
        """Return the line above a page, with what became of the page before it."""
        return " · ".join(filter(None, [self._late, page.note]))

    def mark(self, page: Page, marks: Marks) -> None:
        """Keep a changed selection in the journal."""
        if self._journal is not None:
            self._journal.keep(page, marks)

    def _write(self, submitted: SubmittedPage) -> list[Entry]:
        page, answers = submitted.page, self._answers(submitted)
        entries: list[Entry] = []
        self._late = ""
        if answers:
            entries = self.session.decide(
                answers, picked_by=f"page-{page.order}", draws=self._draws(page, answers),
                shown_ms=submitted.shown_ms, extra=self._extra(submitted),
                only_open=self._unanswered.pop(page.key, ()),
            )  # fmt: skip
            self._late = describe_beaten(self.session.beaten_by)
        self._note_answers(submitted, answers)
        kept = replace(page, selected=dict(submitted.marks))
        self._submitted.append((kept, page.key if entries else None))
        self._open.pop(page.key, None)
        if self._journal is not None:
            self._journal.end(page)
        if self._leases is not None:
            self._leases.lease(self._open.values())
        return entries

    @property
    def can_undo(self) -> bool:
        """True if nothing else was answered since the last page."""
        last = self.session.last_decision
        return self._last_page([last] if last else []) is not None

    def _last_page(self, last: Sequence[Entry]) -> tuple[Page, str | None] | None:
        """Return the last page as `_submitted` has it, if `last` are rows of it."""
        key = (last[0].extra or {}).get("page") if last else None
        if self._submitted:
            return self._submitted[-1] if self._submitted[-1][1] in (None, key) else None
        if not key or not self._can_undo_earlier(last):
            return None
        earlier = self._with_known_classes(page_from_entries(last))
        return None if earlier is None else (earlier, key)

    def undo(self) -> Page | None:
        """Take back the last page, unless something else was answered since."""
        found = self._last_page(self.session.undoable)
        if found is None:
            return None
        page, written = found
        self._late = ""
        if self._submitted:
            self._submitted.pop()
        if written:
            self.session.undo()
        self._note_undo(page)
        self._open = {page.key: page, **self._open}
        return self._lease(page)

    def tick(self) -> None:
        """Renew the leases."""
        if self._leases is not None:
            self._leases.renew(self._open.values())

    def close(self) -> None:
        """Release all items; the journal keeps the page on screen for the next time."""
        self._open.clear()
        if self._leases is not None:
            self._leases.lease(())
        if self._journal is not None:
            self._journal.close()

    def _resume(self, fits: Callable[[Page], bool] = lambda page: True) -> None:
        """Queue the page of a killed program, unless it was answered or does not fit any more."""
        page = self._journal.resumed() if self._journal is not None else None
        if self._journal is not None and self._journal.problem:
            self._late = self._journal.problem
        if page is None or not fits(page):
            return
        known = self._with_known_classes(page)
        if known is None:
            self._late = "the last page asked for a class that is gone: this is a new one"
            return
        if dropped := len(page.selected) - len(known.selected):
            self._late = (
                f"{plural(dropped, 'selected item')} had a class that is gone: select again"
            )
        page = known
        standing = self.session.state.standing
        answered = any(
            (entry.extra or {}).get("page") == page.key
            for ref in page.refs
            for entry in standing.get(ref, [])
        )
        queue = self.session.queue
        rows = queue.rows(page.refs)
        if not answered and -1 not in rows and queue.inside()[rows].all():
            self._ready.append(page)

    def _with_known_classes(self, page: Page) -> Page | None:
        """Return an earlier page without selections of classes that the project has no more.

        Returns None if the page itself asks for one of them.
        """
        asked = [name for name in (page.label, page.negative) if name]
        if not all(map(self._is_known, asked)):
            return None
        kept = {ref: n for ref, n in page.selected.items() if n is None or self._is_known(n)}
        return replace(page, selected=kept)

    def _is_known(self, name: str) -> bool:
        """Return whether a page may still answer with this class."""
        return is_known_label(name, self.session.classes, self.session.multi)

    def _open_refs(self) -> list[str]:
        return [ref for page in self._open.values() for ref in page.refs]

    def _queued_refs(self) -> set[str]:
        """Return the items of this session's own queue, which are as free as the rest."""
        queue = self.session.queue
        return {queue.refs[queue[place].row] for place in range(len(queue))}

    def _held_by_others(self) -> set[str]:
        """Return the items on the screens of others."""
        if self._leases is None:
            return set()
        return self._leases.held_by_others() - self._queued_refs()

    def _lease(self, page: Page) -> Page | None:
        """Return the page without what came to another annotator's screen just now."""
        if self._leases is not None:
            taken = self._leases.lease(self._open.values()) - self._queued_refs()
            if taken & set(page.refs):
                del self._open[page.key]
                page = without_items(page, taken)
                if not page.refs:
                    return None
                self._open[page.key] = page
        answered = self.session.is_answered
        self._unanswered[page.key] = {ref for ref in page.refs if not answered(ref)}
        return page


class ItemListSource(SessionSource):
    """A source of listed items in their order, such as the results of a search.

    Labelled items come too and show their class; only what the annotator changes is written.
    """

    def __init__(
        self, session: LabelSession, refs: Sequence[str], title: str, note: str = "",
        per_page: int = PER_PAGE,
    ) -> None:  # fmt: skip
        """List `refs` under `title`; `note` stands above each page."""
        super().__init__(session, leased=False)
        self._refs, self._title, self._note, self._size = refs, title, note, per_page
        self._next_place = self._count = 0

    @property
    def title(self) -> str:
        """The title that was given."""
        return self._title

    def fit(self, most: int) -> None:
        """Take at most `most` items for a page."""
        self._size = max(1, min(most, self._size))

    def _make_page(self) -> Page | None:
        refs = tuple(self._refs[self._next_place : self._next_place + self._size])
        if not refs:
            return None
        self._next_place += len(refs)
        self._count += 1
        label = self.session.state.label
        left = -(-(len(self._refs) - self._next_place) // self._size)
        return Page(
            refs, order="search", select=SelectionMode.POSITIVES_ONLY, number=self._count,
            of=self._count + left, note=self._note,
            selected={ref: label(ref) for ref in refs if label(ref) is not None},
        )  # fmt: skip

    def _answers(self, submitted: SubmittedPage) -> Mapping[str, str | None]:
        label = self.session.state.label
        return {
            ref: name for ref, name in super()._answers(submitted).items() if name != label(ref)
        }

    def _can_undo_earlier(self, last: Sequence[Entry]) -> bool:
        return False
