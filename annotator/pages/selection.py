"""The selection on one page: the effect of keys and clicks. It knows no screen and no clock."""

from __future__ import annotations

from collections.abc import Iterable

from annotator.pages.page import Page


class PageSelection:
    """Marks and the keyboard's cursor on a page with `across` items in a row.

    Every method that changes something returns the places that look different now.
    """

    def __init__(self, page: Page, across: int = 1) -> None:
        """Begin with what the page has selected, and the cursor on its first item."""
        self.page, self.across = page, max(1, across)
        self.marks: dict[str, str | None] = {
            ref: assigned for ref, assigned in page.selected.items() if ref in page.refs
        }
        self.cursor = 0
        self.anchor: int | None = None
        """The place where a range begins; None while no range is being drawn."""
        self.ranging = False
        """True if the arrows select what they pass."""

    def __len__(self) -> int:
        return len(self.page.refs)

    def selected(self, place: int) -> bool:
        """Return whether the item at a place is selected."""
        return self.page.refs[place] in self.marks

    def assigned_label(self, place: int) -> str | None:
        """Return the class that a selected item was given by name."""
        return self.marks.get(self.page.refs[place])

    def move_cursor_to(self, place: int) -> set[int]:
        """Move the cursor to a place, at most to the last item."""
        before, self.cursor = self.cursor, min(max(0, place), max(0, len(self) - 1))
        return {before, self.cursor} if before != self.cursor else set()

    def step(self, right: int = 0, down: int = 0) -> set[int]:
        """Move the cursor; at an edge it stays, a short last row takes it to its end."""
        row, column = divmod(self.cursor, self.across)
        if down:
            rows = -(-len(self) // self.across)
            row = min(max(0, row + down), rows - 1)
            return self.move_cursor_to(min(row * self.across + column, len(self) - 1))
        return self.move_cursor_to(self.cursor + right)

    def move(self, way: str, *, selecting: bool = False) -> set[int]:
        """Move the cursor left, right, up, down, home or to the end.

        It selects what it passes with `selecting`, and while a range is open.
        """
        before = self.cursor
        if way in ("home", "end"):
            changed = self.move_cursor_to(0 if way == "home" else len(self) - 1)
        else:
            right = {"left": -1, "right": 1}.get(way, 0)
            changed = self.step(right, {"up": -1, "down": 1}.get(way, 0))
        if selecting or (self.ranging and self.anchor is not None):
            target, self.cursor = self.cursor, before
            changed |= self.extend(target)
        return changed

    def toggle(self, place: int) -> set[int]:
        """Select an item, or unselect it; a range begins anew from here."""
        self.anchor = None
        moved = self.move_cursor_to(place)
        return moved | self._set([place], not self.selected(place))

    def toggle_range(self) -> set[int]:
        """Begin a range at the cursor, or end the range that is open."""
        self.ranging = not self.ranging
        if self.ranging:
            self.anchor = self.cursor
            return self.extend(self.cursor)
        self.anchor = None
        return set()

    def extend(self, place: int) -> set[int]:
        """Select all from the range's beginning, or from the cursor, to `place`."""
        start = self.cursor if self.anchor is None else self.anchor
        self.anchor = start
        changed = self._set(range(min(start, place), max(start, place) + 1), on=True)
        return changed | self.move_cursor_to(place)

    def select_all(self) -> set[int]:
        """Select every item."""
        return self._set(range(len(self)), on=True)

    def select_none(self) -> set[int]:
        """Unselect every item."""
        return self._set(range(len(self)), on=False)

    def invert(self) -> set[int]:
        """Select the items that are not selected, and unselect all others."""
        self.marks = {ref: None for ref in self.page.refs if ref not in self.marks}
        return set(range(len(self)))

    def assign_label(self, label: str) -> set[int]:
        """Give a class to all selected items without one, or else to the item under the cursor.

        The same class again takes it back.
        """
        bare = self.assigned_label
        places = [i for i in range(len(self)) if self.selected(i) and bare(i) is None]
        places = places or [self.cursor]
        for place in places:
            ref = self.page.refs[place]
            self.marks[ref] = None if self.marks.get(ref) == label else label
        return set(places)

    def _set(self, places: Iterable[int], on: bool) -> set[int]:
        changed = {place for place in places if self.selected(place) != on}
        for place in changed:
            ref = self.page.refs[place]
            if on:
                self.marks[ref] = None
            else:
                del self.marks[ref]
        return changed
