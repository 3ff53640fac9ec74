"""A request for pages: a class, the meaning of a selection, and the order of the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from annotator.items.refs import make_printable
from annotator.pages.page import PER_PAGE, Page, SelectionMode
from annotator.project.settings import Settings


class PageOrder(StrEnum):
    """The order that the items of a page are chosen by."""

    RANDOM = "random"
    LIKELY = "likely"
    """Items that the model predicts as the class, surest first."""
    UNCERTAIN = "uncertain"
    """Items for which the model is least sure whether they are of the class."""
    SIMILAR = "similar"
    """Items nearest in features to one item."""
    NEEDED = "needed"
    """Items that an annotator must look at to keep the share of wrong labels below the target."""
    CLUSTERS = "clusters"
    """Items that look alike, one cluster on a page."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for pages of one class, in one order."""

    label: str = ""
    """The class; "" for the one that the model predicts most (exceptions) or none (similar)."""
    select: SelectionMode = SelectionMode.POSITIVES_ONLY
    order: PageOrder = PageOrder.RANDOM
    negative: str | None = None
    per_page: int = PER_PAGE
    similar_to: str | None = None
    """The ref of the item that the pages are similar to."""
    target: float = 0.01
    """The share of all labels that may be wrong; no more pages are needed below it."""
    most_doubt: float = 1.0
    """The largest doubt of the model about an item on a page."""

    def negative_for(self, label: str, classes: Sequence[str], *, multi: bool) -> str | None:
        """Return the class of the rest, or of exceptions; of two classes it is the other one."""
        negative = None if self.negative == label else self.negative  # no exception from itself
        if self.label or not label or multi or self.select is not SelectionMode.EXCEPTIONS:
            return negative
        return negative or (classes[1 - classes.index(label)] if len(classes) == 2 else None)

    def no_pages_message(self, settled: bool, elsewhere: int) -> str:
        """Return why there are no more pages: no item needs a look, or others hold them."""
        if settled and self.label:
            return f"No more items predicted as {make_printable(self.label)} need a look."
        if settled:
            return (
                f"If the model labels the rest, {self.target:.2%} or fewer of all labels are "
                "expected to be wrong. `annotator finish` does so, with an audit."
            )
        items = "1 open item is" if elsewhere == 1 else f"{elsewhere:,} open items are"
        return f"{items} on other annotators' screens or leased to a script." if elsewhere else ""

    def fits(self, page: Page) -> bool:
        """Return whether a page left earlier is one of these; without a model it was random."""
        ordered = page.order in (self.order, PageOrder.RANDOM)
        return ordered and page.select is self.select and self.label in ("", page.label)


def with_target(request: PageRequest, settings: Settings) -> PageRequest:
    """Return the request with the project's target error, if the project sets one."""
    target = settings.target_error
    return request if target is None else replace(request, target=target)
