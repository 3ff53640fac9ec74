"""How fast the annotator goes, pauses left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

PAUSE = 60.0
"""A longer wait between two answers is a pause, and no work."""
_RECENT = 30


class Pace:
    """Counts answers and the seconds spent on them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._timed = 0
        self.answers = 0
        self.seconds = 0.0
        """Seconds of work: the waits between answers, pauses left out."""

    def answer(self) -> None:
        """One more answer, now."""
        now = self._clock()
        took = now - self._last
        self._last = now
        self.answers += 1
        if took <= PAUSE:
            self.seconds += took
            self._timed += 1
            self._recent.append(took)

    def take_back(self, count: int) -> None:
        """So many answers fewer; the time was spent all the same. What an earlier sitting
        answered was never counted."""
        self.answers = max(0, self.answers - count)

    @property
    def per_minute(self) -> float | None:
        """Answers a minute over the last ones; None before the third."""
        spent = sum(self._recent)
        return 60 * len(self._recent) / spent if len(self._recent) >= 3 and spent > 0 else None

    @property
    def overall(self) -> float | None:
        """Answers a minute of the whole sitting; None for fewer than three."""
        count = min(self._timed, self.answers)
        return 60 * count / self.seconds if count >= 3 and self.seconds > 0 else None


def format_duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


REPEAT_SECONDS = 0.08
"""Auto-repeat sends a key every 20 to 50 ms; no finger taps one 12 times a second."""


class KeyRepeatFilter:
    """Tells a key that is held down from one that is pressed again and again."""

    def __init__(self, on: bool = True) -> None:
        self._on = on
        self._last = ("", 0.0)

    def __call__(self, key: str, seconds: float) -> bool:
        """Whether this is the same key again, sooner than a finger can; `at` in seconds."""
        (last, before), self._last = self._last, (key, seconds)
        return self._on and key == last and seconds - before < REPEAT_SECONDS
