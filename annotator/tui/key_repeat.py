"""The pace of the annotator, without pauses, and a filter for keys that are held down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

PAUSE = 60.0
"""Seconds between two answers from which the wait counts as a pause."""
_RECENT = 30


class Pace:
    """A counter of answers and of the seconds of work on them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._timed = 0
        self.answers = 0
        self.seconds = 0.0
        """Seconds of work: the waits between answers, pauses left out."""

    def answer(self) -> None:
        """Count an answer, now."""
        now = self._clock()
        took = now - self._last
        self._last = now
        self.answers += 1
        if took <= PAUSE:
            self.seconds += took
            self._timed += 1
            self._recent.append(took)

    def resume(self, answers: int, seconds: float) -> None:
        """Continue from the counts of another terminal."""
        self.answers, self.seconds, self._timed = answers, seconds, answers

    def take_back(self, count: int) -> None:
        """Subtract `count` answers; the time spent on them stays.

        Answers of earlier sessions were never counted, so the count ends at 0.
        """
        self.answers = max(0, self.answers - count)

    @property
    def per_minute(self) -> float | None:
        """The answers a minute over the last answers; None before the third."""
        spent = sum(self._recent)
        return 60 * len(self._recent) / spent if len(self._recent) >= 3 and spent > 0 else None

    @property
    def overall(self) -> float | None:
        """The answers a minute of the whole session; None for fewer than three."""
        count = min(self._timed, self.answers)
        return 60 * count / self.seconds if count >= 3 and self.seconds > 0 else None


REPEAT_SECONDS = 0.08
"""Seconds between two presses of a held key. Keyboards repeat every 20 to 50 ms."""


class KeyRepeatFilter:
    """A filter that tells a key held down from a key pressed again."""

    def __init__(self, on: bool = True) -> None:
        self._on = on
        self._last = ("", 0.0)

    def __call__(self, key: str, seconds: float) -> bool:
        """Return whether the key repeats the last one sooner than a finger can."""
        (last, before), self._last = self._last, (key, seconds)
        return self._on and key == last and seconds - before < REPEAT_SECONDS
