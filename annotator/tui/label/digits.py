"""The digits of the picture in view: with many classes, its nine likeliest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annotator.items.refs import Item
    from annotator.session.session import LabelSession
    from annotator.tui.keymaps import Keymap
    from annotator.tui.label.walk import Walk


class PictureKeys:
    """The keys for the picture in view: they change only when it does, not when a model learns.

    While the prediction is hidden each digit means the class of that number: likeliest first would
    tell the prediction.
    """

    def __init__(self, session: LabelSession, walk: Walk, keymap: Keymap) -> None:
        self._session, self._walk = session, walk
        self._fixed, self._following, self._next = keymap, keymap, keymap
        self._item: Item | None = None
        """The item that the keys in `_following` are for."""
        self.letters: Mapping[str, str] = {}
        """Key -> the character that works on the annotator's keyboard, if it is another one."""

    def use(self, keymap: Keymap) -> bool:
        """Use other keys from the next picture on; at once if they only add to those on screen.

        Returns True if it is at once.
        """
        adds = not keymap.digits and self._fixed.actions.items() <= keymap.actions.items()
        self._next = keymap
        if adds:
            self._fixed = keymap
        return adds

    def now(self, hidden: bool) -> Keymap:
        """Return the keys for the item in view; `hidden` is true while its prediction is."""
        item = self._walk.item
        if item is None or item != self._item:
            self._item, self._fixed = item, self._next
            self._following = self._follow() if self._fixed.digits else self._fixed
        fixed = not self._fixed.digits or hidden or self._session.blind
        return (self._fixed if fixed else self._following).on_keyboard(self.letters)

    def _follow(self) -> Keymap:
        session, keymap = self._session, self._fixed
        names = [name for name in session.classes if name not in keymap.keyed]
        used = order_by_use(names, session.class_counts, len(keymap.digits))
        # Sorted stably: without a prediction the order by use stays.
        shares = self._walk.prediction or {}
        return keymap.with_digits(sorted(used, key=lambda name: -shares.get(name, 0.0)))


def order_by_use(names: Sequence[str], counts: Mapping[str, int], digits: int) -> list[str]:
    """Return the classes with the most labels first; the first ones keep their places among them.

    Until labels say otherwise that is the order of the names. A class that comes among the first
    `digits` takes the place of one that leaves them, so that no other digit changes.
    """
    by_use = sorted(names, key=lambda name: -counts.get(name, 0))
    top = set(by_use[:digits])
    newcomers = iter([name for name in by_use[:digits] if name not in names[:digits]])
    first = [name if name in top else next(newcomers) for name in names[:digits]]
    return [*first, *(name for name in by_use if name not in top)]
