"""What pages somebody wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from annotator.items.refs import make_printable
from annotator.pages.orders import PageOrder
from annotator.pages.page import PER_PAGE, Page, SelectionMode
from annotator.project.settings import Settings


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A class, what selecting means, and which items come."""

    label: str = ""
    """The class; "" for whichever the model sees most of (exceptions), or none (similar)."""
    select: SelectionMode = SelectionMode.POSITIVES_ONLY
    order: PageOrder = PageOrder.RANDOM
    negative: str | None = None
    per_page: int = PER_PAGE
    like: str | None = None
    """The ref that others are to be similar to."""
    target: float = 0.01
    """The share of all labels that may be wrong; where fewer are expected to be, no more are
    needed."""
    most_doubt: float = 1.0
    """Of what is needed, only what the model is surer of than this."""

    def other(self, label: str, classes: Sequence[str], *, multi: bool) -> str | None:
        """The class of the rest, or of exceptions: of two classes what is not one is the other."""
        negative = None if self.negative == label else self.negative  # no exception from itself
        if self.label or not label or multi or self.select is not SelectionMode.EXCEPTIONS:
            return negative
        return negative or (classes[1 - classes.index(label)] if len(classes) == 2 else None)

    def no_pages_message(self, settled: bool, elsewhere: int) -> str:
        """What to say where there are no more: the rest is settled, or with others."""
        if settled and self.label:
            return f"Of what is taken for {make_printable(self.label)} no more needs a look."
        if settled:
            return (
                f"If the model gives the rest, {self.target:.2%} or fewer of all labels are "
                "expected to be wrong: `annotator finish` lets it, with an audit."
            )
        items = "1 open item is" if elsewhere == 1 else f"{elsewhere:,} open items are"
        return f"{items} with others: on their screens, or leased to a script." if elsewhere else ""

    def fits(self, page: Page) -> bool:
        """Whether a page that was left is one of these; where there was no model it was random."""
        ordered = page.order in (self.order, PageOrder.RANDOM)
        return ordered and page.select is self.select and self.label in ("", page.label)


def with_target(wish: PageRequest, settings: Settings) -> PageRequest:
    """The wish with the error that the project aims at, where it names one."""
    return wish if settings.target_error is None else replace(wish, target=settings.target_error)
