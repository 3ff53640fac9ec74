"""The selection on one page: what keys and clicks do to it. No screen, no clock."""

from __future__ import annotations

from collections.abc import Iterable

from annotator.pages.page import Marks, Page


class PageSelection:
    """Marks and the keyboard's cursor on a page of `across` items a row.

    Every method that changes something returns the places that look different now.
    """

    def __init__(self, page: Page, across: int = 1) -> None:
        self.page, self.across = page, max(1, across)
        self.marks: dict[str, str | None] = {
            ref: given for ref, given in page.selected.items() if ref in page.refs
        }
        self.cursor = 0
        self.anchor: int | None = None
        """Where a range begins; None while none is being drawn."""

    def __len__(self) -> int:
        return len(self.page.refs)

    def selected(self, place: int) -> bool:
        return self.page.refs[place] in self.marks

    def given(self, place: int) -> str | None:
        """The class that was given to a selected item by name."""
        return self.marks.get(self.page.refs[place])

    def go(self, place: int) -> set[int]:
        """Move the cursor to a place; a range that is being drawn follows it."""
        before, self.cursor = self.cursor, min(max(0, place), max(0, len(self) - 1))
        return {before, self.cursor} if before != self.cursor else set()

    def step(self, right: int = 0, down: int = 0) -> set[int]:
        """Move the cursor; at an edge it stays, a short last row takes it to its end."""
        row, column = divmod(self.cursor, self.across)
        if down:
            rows = -(-len(self) // self.across)
            row = min(max(0, row + down), rows - 1)
            return self.go(min(row * self.across + column, len(self) - 1))
        return self.go(self.cursor + right)

    def toggle(self, place: int) -> set[int]:
        """Select an item, or no longer; a range begins anew from here."""
        self.anchor = None
        moved = self.go(place)
        return moved | self._set([place], not self.selected(place))

    def extend(self, place: int) -> set[int]:
        """Select all from the range's beginning, or from the cursor, to `place`."""
        start = self.cursor if self.anchor is None else self.anchor
        self.anchor = start
        changed = self._set(range(min(start, place), max(start, place) + 1), on=True)
        return changed | self.go(place)

    def all(self) -> set[int]:
        return self._set(range(len(self)), on=True)

    def none(self) -> set[int]:
        return self._set(range(len(self)), on=False)

    def invert(self) -> set[int]:
        changed = set(range(len(self)))
        self.marks = {ref: None for ref in self.page.refs if ref not in self.marks}
        return changed

    def give(self, label: str) -> set[int]:
        """Give a class by name: to what is selected and has none, else to the item under the
        cursor. The same class again takes it back."""
        places = [i for i in range(len(self)) if self.selected(i) and self.given(i) is None]
        places = places or [self.cursor]
        for place in places:
            ref = self.page.refs[place]
            self.marks[ref] = None if self.marks.get(ref) == label else label
        return set(places)

    def put(self, marks: Marks) -> set[int]:
        """Take up a selection that was made before."""
        self.marks = {ref: given for ref, given in marks.items() if ref in self.page.refs}
        return set(range(len(self)))

    def _set(self, places: Iterable[int], on: bool) -> set[int]:
        changed = {place for place in places if self.selected(place) != on}
        for place in changed:
            ref = self.page.refs[place]
            if on:
                self.marks[ref] = None
            else:
                del self.marks[ref]
        return changed
