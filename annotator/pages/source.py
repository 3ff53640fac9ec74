"""Pages of items that somebody has looked up: the results of a search."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from annotator.errors import StoreError
from annotator.log.entries import Entry
from annotator.log.store import Lease, Store, new_holder
from annotator.pages.page import PER_PAGE, Marks, Page, SelectionMode, answers_of_page, page_extra
from annotator.project.settings import ClassInfo
from annotator.session.queue import LEASE_SECONDS
from annotator.session.session import LabelSession


class ItemListSource:
    """A `PageSource` of given items, in their order, labelled ones among them.

    Each item is given a class by itself; those that have one show it, and only what was changed
    is written.
    """

    def __init__(
        self, session: LabelSession, refs: Sequence[str], title: str, note: str = "",
        per_page: int = PER_PAGE,
    ) -> None:  # fmt: skip
        self.session, self.title, self.waiting, self.no_pages_message = session, title, "", ""
        self._refs, self._note, self._size = refs, note, per_page
        self._at = self._count = 0
        self._past: list[tuple[Page, str | None]] = []  # and its key, if any of it is in the log

    def describe(self, page: Page) -> ClassInfo | None:
        return None

    def fit(self, most: int) -> None:
        self._size = max(1, min(most, self._size))

    def next(self) -> Page | None:
        refs = tuple(self._refs[self._at : self._at + self._size])
        if not refs:
            return None
        self._at += len(refs)
        self._count += 1
        label = self.session.state.label
        left = -(-(len(self._refs) - self._at) // self._size)
        return Page(
            refs, order="search", select=SelectionMode.POSITIVES_ONLY, number=self._count,
            of=self._count + left, note=self._note,
            selected={ref: label(ref) for ref in refs if label(ref) is not None},
        )  # fmt: skip

    def mark(self, page: Page, marks: Marks) -> None:
        pass

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
        label = self.session.state.label
        changed: dict[str, str | None] = {
            ref: name for ref, name in found.items() if name != label(ref)
        }
        entries: list[Entry] = []
        if changed:
            entries = self.session.decide(
                changed, picked_by="page-search", shown_ms=shown_ms,
                extra=page_extra(page, prediction=prediction),
            )  # fmt: skip
        self._past.append((replace(page, selected=dict(marks)), page.key if entries else None))
        return entries

    def undo(self) -> Page | None:
        if not self._past:
            return None
        last = self.session.last
        key = (last[0].extra or {}).get("page") if last else None
        page, wrote = self._past[-1]
        if wrote not in (None, key):
            return None  # something else was answered since
        if wrote:
            self.session.undo()
        return self._past.pop()[0]

    def keep(self) -> None:
        pass

    def close(self) -> None:
        pass


class PageLeases:
    """Holds the items of the pages that were given out and are not answered."""

    def __init__(self, store: Store, annotator: str, clock: Callable[[], float]) -> None:
        # Under a name of their own: the queue would take abandoned ones up one by one.
        self._store, self._annotator, self._clock = store, f"{annotator} (pages)", clock
        self._holder, self._renew_at = new_holder(), float("inf")

    def hold(self, pages: Iterable[Page]) -> set[str]:
        """Hold the items of these pages and no others; those that somebody else holds."""
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

    def keep(self, pages: Iterable[Page]) -> None:
        """Renew them when half their time is over."""
        if self._clock() > self._renew_at:
            self.hold(pages)
