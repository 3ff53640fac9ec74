"""A page: many items looked at together, and the answers that a selection on it gives.

A page asks about one class. Nothing here knows a screen: the screen shows a page and collects
the selection, a `PageSource` makes pages and writes the answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from annotator.errors import AnnotatorError
from annotator.learn.strategies import Pick
from annotator.log.entries import Entry

PER_PAGE = 48

Marks = Mapping[str, str | None]
"""The selection: ref -> the class that it was given by name, None for the page's own answer."""


class SelectionMode(StrEnum):
    """The meaning of a selected item."""

    POSITIVES = "positives"
    """Selected items get the page's class, the rest the negative class."""
    EXCEPTIONS = "exceptions"
    """Selected items are not of the page's class and are asked again. The rest gets the class."""
    POSITIVES_ONLY = "positives-only"
    """Selected items get the page's class. The rest stays unanswered."""


def new_key() -> str:
    """Return an id that no other page has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Page:
    """Items to be shown together."""

    refs: tuple[str, ...]
    label: str = ""
    """The class that the page asks about; "" if each item is given a class by itself."""
    select: SelectionMode = SelectionMode.POSITIVES_ONLY
    order: str = ""
    """The order that the items were chosen by: random, likely, uncertain, similar, clusters …"""
    negative: str | None = None
    """The class of the rest (positives), or of the exceptions; None leaves those items open."""
    draws: Mapping[str, Pick] = field(default_factory=dict)
    """The draw of each item; empty unless the page was drawn at random."""
    chances: Mapping[str, float] = field(default_factory=dict)
    """The model's probability of `label` for each item that it can predict."""
    excluded: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Classes that an annotator has ruled out for an item on an earlier page."""
    selected: Marks = field(default_factory=dict)
    """The selection to begin with: that of a page that is resumed or undone."""
    number: int = 1
    of: int | None = None
    """Number of pages in all; None if it is unknown."""
    key: str = field(default_factory=new_key)
    """The page's id in the log and in the journal."""
    note: str = ""
    """A line to show above the page."""


def without_items(page: Page, gone: Collection[str]) -> Page:
    """Return a page without some items, under a key of its own: places on it mean other items."""
    refs = tuple(ref for ref in page.refs if ref not in gone)
    selected = {ref: name for ref, name in page.selected.items() if ref not in gone}
    draws = {ref: drawn for ref, drawn in page.draws.items() if ref not in gone}
    return replace(page, refs=refs, selected=selected, draws=draws, key=new_key())


class PageNotReady(AnnotatorError):
    """A page that the annotator must look at again before it can be submitted."""

    place: int | None = None
    """The place of the first tile to look at."""


def answers_of_page(page: Page, marks: Marks, broken: Collection[str] = ()) -> dict[str, str]:
    """Return the label of each item that the selection answers, in the order of the page."""
    found = {}
    for ref in page.refs:
        if ref in broken:
            continue
        label = _label_of_selected(page, marks[ref]) if ref in marks else _label_of_rest(page)
        if label:
            found[ref] = label
    return found


def _label_of_selected(page: Page, assigned: str | None) -> str | None:
    if assigned is not None:
        return assigned
    return page.negative if page.select is SelectionMode.EXCEPTIONS else page.label


def _label_of_rest(page: Page) -> str | None:
    if page.select is SelectionMode.EXCEPTIONS:
        return page.label
    return page.negative if page.select is SelectionMode.POSITIVES else None


def page_extra(page: Page, *, prediction: bool) -> dict[str, Any]:
    """Return the `extra` of a page's rows. `prediction`: the model's opinion was on screen."""
    asked = {"page": page.key, "class": page.label, "select": str(page.select), "order": page.order}
    return {**asked, "negative": page.negative, "prediction": "shown" if prediction else "hidden"}


def page_from_entries(entries: Sequence[Entry]) -> Page:
    """Return a page of an earlier session, with its selection, from its rows in the log.

    Items that it left open are not in the log.
    """
    asked: Mapping[str, Any] = entries[0].extra or {}
    found = asked.get("select", "")
    modes = set(map(str, SelectionMode))
    select = SelectionMode(found) if found in modes else SelectionMode.POSITIVES_ONLY
    label, negative = str(asked.get("class", "")), asked.get("negative")
    rest = {SelectionMode.EXCEPTIONS: label, SelectionMode.POSITIVES: negative}.get(select)
    usual = negative if select is SelectionMode.EXCEPTIONS else label
    return Page(
        refs=tuple(entry.ref for entry in entries),
        label=label,
        select=select,
        order=str(asked.get("order", "")),
        negative=negative,
        draws={e.ref: Pick(-1, e.q, e.pool or 0, e.picked_by or "") for e in entries if e.q},
        selected={e.ref: None if e.label == usual else e.label for e in entries if e.label != rest},
        key=str(asked["page"]),
    )
