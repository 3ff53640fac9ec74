"""The outcome of a stream: its items, the ones in doubt, and the labels that follow."""

from __future__ import annotations

from typing import Any

from annotator.items.refs import Item
from annotator.pages.key_delay import KeyDelay, RapidStream, StreamVerdict
from annotator.tui.rapid.player import StreamPlayer


class StreamOutcome:
    """The items of a stream that were seen, judged by its marks and by second looks."""

    def __init__(self, player: StreamPlayer, delay: KeyDelay) -> None:
        """Judge the items of a stream that has ended."""
        self.items = [player.items[place] for place in player.onsets]
        self._stream = RapidStream(list(player.onsets.values()), list(player.marks), delay)
        self._left: set[int] = set()
        self._names: dict[int, str | None] = {}
        self._rate = player.reached_rate
        self.verdict: StreamVerdict = self._stream.verdict

    @property
    def doubtful(self) -> list[Item]:
        """The items to be looked at once more, the likeliest first."""
        return [self.items[place] for place in self.verdict.doubtful]

    @property
    def second_looks(self) -> int:
        """The number of items looked at once more."""
        return len(self._stream.known)

    @property
    def without_class(self) -> list[Item]:
        """The marked items that were not given a class of their own yet."""
        return [self.items[place] for place in self.verdict.marked if place not in self._names]

    def name(self, label: str | None) -> None:
        """Give a class to the first of `without_class`; None leaves it open."""
        item = self.without_class[0]
        self._names[self.items.index(item)] = label

    def resolve_doubt(self, positive: bool | None) -> None:
        """Answer the first of `doubtful`; None leaves it open."""
        place = self.verdict.doubtful[0]
        if positive is None:
            self._left.add(place)
        self._stream.known[place] = bool(positive)
        self.verdict = self._stream.verdict

    @property
    def can_undo(self) -> bool:
        """True if `undo_last` has something to take back."""
        return bool(self._names or self._stream.known)

    def undo_last(self) -> None:
        """Take back the last `name`, or else the last `resolve_doubt`."""
        if self._names:
            self._names.popitem()
        elif self._stream.known:
            place, _ = self._stream.known.popitem()
            self._left.discard(place)
            self.verdict = self._stream.verdict

    def answers(self, marked: str | None, rest: str | None) -> dict[str, str]:
        """Return ref -> class: marked items get their own class or `marked`, the others `rest`.

        Items in doubt stay open, and so do those whose class is None.
        """
        named = {place: self._names.get(place) or marked for place in self.verdict.marked}
        found = {self.items[place].ref: label for place, label in named.items() if label}
        if rest is not None:
            others = [place for place in self.verdict.rest if place not in self._left]
            found |= {self.items[place].ref: rest for place in others}
        return found

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the stream for the log."""
        rate = round(self._rate, 2) if self._rate else None
        marks = len(self._stream.marks)
        return {"rate": rate, "items": len(self.items), "marks": marks, "again": self.second_looks}
