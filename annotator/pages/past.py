"""What the log keeps of a page, and the page that it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.learn.strategies import Pick
from annotator.log.entries import Entry
from annotator.pages.page import Page, SelectionMode


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
