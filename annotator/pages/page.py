"""A page: many items looked at together, and what a selection on it means.

A page asks about one class. Nothing here knows a screen: the screen shows a page and says what
was selected, a `PageSource` makes pages and writes the answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from annotator.errors import AnnotatorError
from annotator.learn.strategies import Pick
from annotator.log.entries import Entry
from annotator.project.settings import ClassInfo

PER_PAGE = 48

Marks = Mapping[str, str | None]
"""What is selected: ref -> the class that it was given by name, None for what the page says."""


class SelectionMode(StrEnum):
    """What selecting an item says."""

    POSITIVES = "positives"
    """Selected: the page's class. The rest: the negative class."""
    EXCEPTIONS = "exceptions"
    """Selected: not the page's class, to be asked again. The rest: the page's class."""
    POSITIVES_ONLY = "positives-only"
    """Selected: the page's class. The rest stays unanswered."""


@dataclass(frozen=True, slots=True)
class Page:
    """Items to be shown together."""

    refs: tuple[str, ...]
    label: str = ""
    """The class that it asks about; "" where each item is given a class by itself."""
    select: SelectionMode = SelectionMode.POSITIVES_ONLY
    order: str = ""
    """How the items were chosen: random, likely, uncertain, similar, clusters …"""
    negative: str | None = None
    """The class of the rest (positives), or of the exceptions; None leaves those open."""
    draws: Mapping[str, Pick] = field(default_factory=dict)
    """How each item was drawn; empty unless the page was drawn at random."""
    chances: Mapping[str, float] = field(default_factory=dict)
    """The model's probability of `label` for each item that it knows."""
    excluded: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Classes that some were shown for before, and are not."""
    selected: Marks = field(default_factory=dict)
    """What is selected at first: a page that is taken up again, or taken back."""
    number: int = 1
    of: int | None = None
    """Pages in all; None where that is not known."""
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names this page in the log and in the journal."""
    note: str = ""
    """A line to be said above it."""


class PageNotReady(AnnotatorError):
    """Look again, then submit."""


class PageSource(Protocol):
    """Where pages come from and where their answers go. Called on the screen's thread only."""

    @property
    def title(self) -> str:
        """What the pages are, in a few words."""

    @property
    def waiting(self) -> str:
        """Why `next` gives no page although there will be one; "" where there is none left."""

    @property
    def no_pages_message(self) -> str:
        """What to say when there is no page left; "" for the usual words."""

    def describe(self, page: Page) -> ClassInfo | None:
        """What is known of the class that a page asks about; None where there is none."""

    def fit(self, most: int) -> None:
        """So many items fit on the screen: a page with more is shown in parts."""

    def next(self) -> Page | None:
        """The next page; it is asked for ahead, before the page on screen is submitted."""

    def mark(self, page: Page, marks: Marks) -> None:
        """The selection has changed: keep it, so that a killed program comes back to it."""

    def submit(
        self,
        page: Page,
        marks: Marks,
        *,
        broken: Collection[str] = (),
        shown_ms: int | None = None,
        prediction: bool = False,
    ) -> list[Entry]:
        """Write the answers, as one group. `broken` items were not seen and get none.

        `prediction` says whether the model's opinion was on screen. Raises `StoreError`, or
        `PageNotReady` where the page is to be looked at again, and has written nothing then.
        """

    def undo(self) -> Page | None:
        """Take back the page answered last, and give it again with its selection; else None."""

    def keep(self) -> None:
        """Called about once a second: renew what is held."""

    def close(self) -> None:
        """No more pages are wanted: those that were not submitted are free for others."""


def answers_of_page(page: Page, marks: Marks, broken: Collection[str] = ()) -> dict[str, str]:
    """The label of each item that the selection answers, in the order of the page."""
    found = {}
    for ref in page.refs:
        if ref in broken:
            continue
        label = _selected(page, marks[ref]) if ref in marks else _rest(page)
        if label:
            found[ref] = label
    return found


def _selected(page: Page, given: str | None) -> str | None:
    if given is not None:
        return given
    return page.negative if page.select is SelectionMode.EXCEPTIONS else page.label


def _rest(page: Page) -> str | None:
    if page.select is SelectionMode.EXCEPTIONS:
        return page.label
    return page.negative if page.select is SelectionMode.POSITIVES else None


def page_extra(page: Page, *, prediction: bool) -> dict[str, Any]:
    """What the rows of a page have in common. `prediction`: whether the model's word was shown."""
    said = {"page": page.key, "class": page.label, "select": str(page.select), "order": page.order}
    return {**said, "negative": page.negative, "prediction": "shown" if prediction else "hidden"}


def page_from_entries(entries: Sequence[Entry]) -> Page:
    """A page that was answered in an earlier sitting, with its selection, from its rows. Items
    that it left open are not in the log."""
    said: Mapping[str, Any] = entries[0].extra or {}
    select = SelectionMode(said.get("select", SelectionMode.POSITIVES_ONLY))
    label, negative = str(said.get("class", "")), said.get("negative")
    rest = {SelectionMode.EXCEPTIONS: label, SelectionMode.POSITIVES: negative}.get(select)
    usual = negative if select is SelectionMode.EXCEPTIONS else label
    return Page(
        refs=tuple(entry.ref for entry in entries),
        label=label,
        select=select,
        order=str(said.get("order", "")),
        negative=negative,
        draws={e.ref: Pick(-1, e.q, e.pool or 0, e.picked_by or "") for e in entries if e.q},
        selected={e.ref: None if e.label == usual else e.label for e in entries if e.label != rest},
        key=str(said["page"]),
    )
