"""The classes chosen so far for the item on screen, where an item may have several."""

from __future__ import annotations

from annotator.project.label_sets import join_label
from annotator.session.session import LabelSession


class ChosenClasses:
    """Belongs to one item: what was chosen for another is forgotten."""

    def __init__(self, session: LabelSession) -> None:
        self._session = session
        self._of: tuple[str, frozenset[str]] = ("", frozenset())

    @property
    def names(self) -> frozenset[str]:
        """What is chosen for the current item."""
        item = self._session.current
        return self._of[1] if item is not None and item.ref == self._of[0] else frozenset()

    def toggle(self, name: str) -> None:
        """Choose a class for the current item, or no longer."""
        if (item := self._session.current) is not None:
            self._of = (item.ref, self.names ^ {name})

    @property
    def label(self) -> str:
        """The label that these make."""
        return join_label(self.names, self._session.classes)
