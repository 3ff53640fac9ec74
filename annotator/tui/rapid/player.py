"""The player of a stream, with the times of its pictures and of the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.screen import Screen
from textual.timer import Timer

from annotator.items.refs import Item
from annotator.pages.key_delay import MAX_DELAY
from annotator.tui.picture.picture import PictureArea

AHEAD = 8
FULL, PATIENCE = 5, 60
"""The stream begins when `FULL` pictures are ready, or after `PATIENCE` looks."""
LOOK_SECONDS = 0.05


class StreamPlayer:
    """A player of one stream. It calls `ended` when no key can come any more.

    A picture follows when the one before has had its time on screen, counted from when it was
    asked for, and the terminal has drawn it: over a slow line the stream is slower, and never
    runs ahead of what is seen. Times are in seconds of the screen's own clock, pauses left out.
    """

    def __init__(
        self,
        screen: Screen[int],
        stage: PictureArea,
        items: Sequence[Item],
        ended: Callable[[], object],
    ) -> None:
        """Prepare the stream of `items` on `stage`, with the timers of `screen`."""
        self._screen, self._stage, self._ended = screen, stage, ended
        self.items = list(items)
        self.onsets: dict[int, float] = {}
        """Place -> the time when it was drawn; broken pictures have none."""
        self.marks: list[float] = []
        self.rate = 1.0
        self.paused = False
        self._place, self._looks = 0, 0
        self._due = self._over = False
        self._lost = self._paused_at = 0.0
        self._broken: set[int] = set()
        self._timer: Timer | None = None

    @property
    def place(self) -> int:
        """The number of items shown before the one on screen."""
        return self._place

    @property
    def reached_rate(self) -> float | None:
        """The pictures a second that were really shown; None for fewer than three."""
        times = list(self.onsets.values())
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 2 else None

    def begin(self, rate: float) -> None:
        """Show the first picture, and the next ones as soon as some are ready."""
        self.rate = rate
        self._show()
        self._later(LOOK_SECONDS, self._fill)

    def seen(self, item: Item, seconds: float) -> None:
        """Note that the terminal has drawn `item`."""
        if not self._over and item == self.items[self._place] and self._place not in self.onsets:
            self.onsets[self._place] = (
                min(seconds, self._paused_at) if self.paused else seconds
            ) - self._lost
            if self._due and not self.paused:
                self._next()

    def broken(self, item: Item) -> None:
        """Skip `item`, which has no picture."""
        if not self._over and item == self.items[self._place]:
            self._broken.add(self._place)
            self.onsets.pop(self._place, None)
            if not self.paused:
                self._next()

    def mark(self, seconds: float) -> bool:
        """Note a key; return whether it counts: not before the first picture, nor in a pause."""
        if self.paused or not self.onsets:
            return False
        self.marks.append(seconds - self._lost)
        return True

    def pause(self, seconds: float) -> None:
        """Stop the clock of the stream."""
        self.paused, self._paused_at = True, seconds
        self._stop()

    def resume(self, seconds: float) -> None:
        """Continue; the time of the pause does not count."""
        self.paused = False
        self._lost += seconds - self._paused_at
        self._later(
            MAX_DELAY if self._over else 1 / self.rate, self._end if self._over else self._step
        )

    def stop(self) -> None:
        """Show nothing more."""
        self._over = True
        self._stop()

    # --- one after the other

    def _fill(self) -> None:
        self._looks += 1
        left = len(self.items) - 1 - self._place
        full = self._stage.picture.ready >= min(FULL, left) and self._place in self.onsets
        if full or self._looks > PATIENCE or self._place in self._broken:
            self._later(1 / self.rate, self._step)
        else:
            self._later(LOOK_SECONDS, self._fill)

    def _step(self) -> None:
        """Show the next picture if this one was drawn: it has had its time."""
        self._due = True
        if self._place in self.onsets or self._place in self._broken:
            self._next()

    def _next(self) -> None:
        self._due = False
        if self._place + 1 == len(self.items):
            self._over = True
            self._later(MAX_DELAY, self._end)
            return
        self._place += 1
        self._show()
        self._later(1 / self.rate, self._step)

    def _show(self) -> None:
        ahead = self.items[self._place + 1 :][:AHEAD]
        self._stage.show(self.items[self._place], ahead)

    def _end(self) -> None:
        self._ended()

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._stop()
        self._timer = self._screen.set_timer(seconds, do)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
