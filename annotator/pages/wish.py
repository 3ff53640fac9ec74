"""What pages somebody wants."""

from __future__ import annotations

from dataclasses import dataclass

from annotator.pages.orders import Order
from annotator.pages.page import PER_PAGE, Page, Select


@dataclass(frozen=True, slots=True)
class Wish:
    """A class, what selecting means, and which items come."""

    label: str = ""
    """The class; "" for whichever the model sees most of (exceptions), or none (similar)."""
    select: Select = Select.POSITIVES_ONLY
    order: Order = Order.RANDOM
    negative: str | None = None
    per_page: int = PER_PAGE
    like: str | None = None
    """The ref that others are to be similar to."""

    def fits(self, page: Page) -> bool:
        """Whether a page that was left is one of these; where there was no model it was random."""
        ordered = page.order in (self.order, Order.RANDOM)
        return ordered and page.select is self.select and self.label in ("", page.label)
