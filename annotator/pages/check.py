"""Pages of a check: random items in the order of their draws, without predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotator.learn.strategies import Pick
from annotator.pages.page import PER_PAGE, Page, SelectionMode
from annotator.pages.source import SessionSource, SubmittedPage
from annotator.session.check import Check
from annotator.session.mode import CHECK
from annotator.session.session import LabelSession


class CheckSource(SessionSource):
    """A source of the next items of a check. What a page leaves open comes again."""

    def __init__(
        self, session: LabelSession, check: Check, label: str = "", per_page: int = PER_PAGE
    ) -> None:
        """Ask which items are `label`, and of two classes give the rest the other one.

        Without it each item gets a class by itself.
        """
        super().__init__(session)
        self._check, self._label, self._size, self._count = check, label, per_page, 0

    @property
    def title(self) -> str:
        """The name of the check."""
        return self._check.name

    @property
    def no_pages_message(self) -> str:
        """The result of the check."""
        return self._check.result(self.session.state).headline

    def fit(self, most: int) -> None:
        """Take at most `most` items for a page."""
        self._size = max(1, min(most, self._size))

    def _make_page(self) -> Page | None:
        check, state, taken = self._check, self.session.state, set(self._open_refs())
        if check.is_over(state):
            return None
        taken |= self._held_by_others()
        check.choose_refs(state, self._size + len(taken))
        refs = tuple(ref for ref in check.refs if ref not in taken)[: self._size]
        if not refs:
            if check.refs and not self._open:
                self.waiting = "The items that are left are on the screens of others"
            return None
        self._count += 1
        size = check.count_open(state) - len(self._open_refs())
        queue = self.session.queue
        draws = {
            ref: Pick(queue.row(ref), 1 / (size - k), size - k, CHECK)
            for k, ref in enumerate(refs)
            if size > k
        }
        return Page(
            refs, self._label, self._select, CHECK, self._rest, draws, number=self._count,
            selected=dict.fromkeys(refs) if self._size == 1 and not self._label else {},
        )  # fmt: skip

    def note(self, page: Page) -> str:
        """Return the result so far; the page itself may have been made before the last answers."""
        return " · ".join(filter(None, [super().note(page), self.no_pages_message]))

    @property
    def _rest(self) -> str | None:
        """The class of the items that are not selected; None leaves them open."""
        names = self.session.classes
        if not self._label or self.session.multi or len(names) != 2:
            return None
        return names[1 - names.index(self._label)]

    @property
    def _select(self) -> SelectionMode:
        return SelectionMode.POSITIVES if self._rest else SelectionMode.POSITIVES_ONLY

    def _answers(self, submitted: SubmittedPage) -> Mapping[str, str | None]:
        """Return the answers; an image that cannot be read is skipped."""
        broken = set(submitted.broken) if set(submitted.broken) < set(submitted.page.refs) else ()
        return {**super()._answers(submitted), **dict.fromkeys(broken)}

    def _extra(self, submitted: SubmittedPage) -> Mapping[str, Any]:
        return {**super()._extra(submitted), "audit": self._check.name}
