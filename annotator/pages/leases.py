"""The leases of the items on pages, so that two annotators do not meet on one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from annotator.errors import StoreError
from annotator.log.store import Lease, Store, new_holder
from annotator.pages.page import Page
from annotator.session.queue import LEASE_SECONDS


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
