"""How good a picture may be so that it arrives before it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from annotator.terminal.backend import Area, Payload, Quality
from annotator.terminal.pacing import Clock, Pacer

WAIT = 0.35
"""Seconds of sending that somebody who waits for a picture accepts."""
SHARE = 0.7
"""Part of the line that pictures ahead may take at the annotator's pace."""
DWELL = 0.4
"""Seconds that a picture stays on screen before a slow line is used to refine it."""
LONGEST = 8.0
"""Seconds of sending that a refinement may take."""
LEAST = 2
"""Pictures that are always ahead before one on screen is refined."""
NEAR, FAR = 50e6, 250e3
"""Bytes a second assumed of a line before it was measured: a local one, any other."""


class QualityBudget:
    """Chooses a rung of the ladder from throughput and pace.

    Where the terminal stores nothing, a picture ahead is only encoded: it travels at the key, and
    somebody waits for it.
    """

    def __init__(
        self,
        ladder: Sequence[Quality],
        line: Pacer,
        clock: Clock,
        *,
        stores: bool = True,
        lossless: bool = False,
    ) -> None:
        self.ladder, self._line, self._clock = ladder, line, clock
        self.stores, self.lossless = stores, lossless
        self._density = {rung: rung.density for rung in ladder}
        self._asked_at, self.pace = clock(), 1.0

    @property
    def rate(self) -> float:
        """Bytes a second, measured or assumed."""
        assumed = NEAR if not self._line.fences or 0 < self._line.rtt < 0.005 else FAR
        return self._line.rate or assumed

    def asked(self) -> None:
        """A picture was asked for: the annotator's pace in seconds a picture, smoothed."""
        now = self._clock()
        self.pace += 0.3 * (min(now - self._asked_at, 5.0) - self.pace)
        self._asked_at = now

    def encoded(self, quality: Quality, area: Area, payload: Payload) -> None:
        """Learn what a rung costs."""
        density = payload.size / (area.size[0] * area.size[1])
        self._density[quality] += 0.5 * (density - self._density[quality])

    def seconds(self, quality: Quality, area: Area) -> float:
        """How long a picture of this quality takes to send."""
        return self._density[quality] * area.size[0] * area.size[1] / self.rate

    def now(self, area: Area) -> Quality:
        """For a picture that somebody waits for."""
        return self._best(area, WAIT)

    def ahead(self, area: Area) -> Quality:
        """For a picture that will be asked for."""
        return self._best(area, max(WAIT, SHARE * self.pace) if self.stores else WAIT)

    def refined_quality(self, area: Area, have: Quality, shown_for: float) -> Quality | None:
        """The best rung above `have` that is worth sending now; None where there is none."""
        for rung in reversed(self.ladder[self.ladder.index(have) + 1 :]):
            seconds = self.seconds(rung, area)
            if seconds < 0.1 or (seconds < LONGEST and shown_for >= DWELL):
                return rung
        return None

    def pictures_before_refining(self, area: Area, depth: int) -> int:
        """How many of the next pictures come before a better version of the one on screen.

        Twice as many as the annotator may ask for while that is sent: somebody who thinks long
        sees the exact picture early, somebody quick has all `depth` of them first.
        """
        asked = 2 * self.seconds(self.ladder[-1], area) / max(self.pace, 0.1)
        return max(LEAST, min(depth, ceil(asked)))

    def _best(self, area: Area, seconds: float) -> Quality:
        if self.lossless:
            return self.ladder[-1]
        affordable = [rung for rung in self.ladder if self.seconds(rung, area) <= seconds]
        return affordable[-1] if affordable else self.ladder[0]
