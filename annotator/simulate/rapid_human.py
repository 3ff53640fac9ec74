"""A simulated annotator who marks the rare class in a stream of crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.pages.key_delay import MAX_DELAY, KeyDelay, RapidStream, measure_delays


@dataclass(frozen=True, slots=True)
class RapidHuman:
    """A model of a person in rapid mode: reaction times, misses and slips.

    It is not the delay model of the program, which must cope with it.
    """

    mean: float = 0.378
    """The mean delay of a key, in seconds."""
    sd: float = 0.092
    """The standard deviation of the delay."""
    fastest: float = 0.2
    """The shortest delay; the time beyond it has a gamma distribution, as in human reactions."""
    misses: float = 0.03
    """The share of positives missed."""
    blink: float = 0.3
    """The share of positives missed 0.2 to 0.5 s after another (Raymond et al. 1992)."""
    slips: float = 0.02
    """The share of negatives marked, and of single decisions that are wrong."""
    refractory: float = 0.12
    """The shortest time between two keys, in seconds."""
    decision: float = 1.1
    """The time for an item that comes back, in seconds."""

    def marks(
        self, onsets: NDArray[np.float64], truth: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return the times of the key presses for items shown at `onsets`; `truth` is (n,)."""
        shape = ((self.mean - self.fastest) / self.sd) ** 2
        scale = self.sd**2 / (self.mean - self.fastest)
        noticed, last = -np.inf, []
        for onset, positive in zip(onsets, truth, strict=True):
            blinks = 0.2 <= onset - noticed <= 0.5 and rng.random() < self.blink
            seen = positive and not blinks and rng.random() >= self.misses
            if positive and seen:
                noticed = onset
            if seen or (not positive and rng.random() < self.slips):
                last.append(onset + self.fastest + rng.gamma(shape, scale))
        pressed: list[float] = []
        for time in sorted(last):
            pressed.append(max(time, pressed[-1] + self.refractory) if pressed else time)
        return np.array(pressed)


@dataclass(frozen=True, slots=True)
class StreamResult:
    """The figures of a simulated stream."""

    recall: float
    precision: float
    doubtful: float
    """The share of items that came back one at a time."""
    seconds: float
    """The time per item, including the items that came back."""


def simulate_stream(
    truth: NDArray[np.bool_],
    rate: float,
    human: RapidHuman | None = None,
    *,
    seed: int = 0,
    chunk: int = 40,
    calibration: int = 12,
) -> StreamResult:
    """Mark the positives of `truth` (n,) in streams of `chunk` items at `rate` a second.

    `calibration` known positives are marked first, at 1.5 a second, to learn the key delay.
    """
    rng, human = np.random.default_rng(seed), human or RapidHuman()
    calm = np.arange(calibration) / 1.5
    known = human.marks(calm, np.ones(calibration, bool), rng)
    delay = (
        KeyDelay().updated(measure_delays(list(calm), list(known))) if calibration else KeyDelay()
    )
    taken, back = np.zeros(len(truth), bool), 0
    for start in range(0, len(truth), chunk):
        part = truth[start : start + chunk]
        onsets = np.arange(len(part)) / rate
        stream = RapidStream(list(onsets), list(human.marks(onsets, part, rng)), delay)
        while stream.verdict.doubtful:
            i = stream.verdict.doubtful[0]
            stream.known[i] = bool(part[i] ^ (rng.random() < human.slips))
        taken[[start + i for i in stream.verdict.marked]] = True
        back += len(stream.known)
    right = int((taken & truth).sum())
    return StreamResult(
        recall=right / max(1, int(truth.sum())),
        precision=right / max(1, int(taken.sum())),
        doubtful=back / len(truth),
        seconds=1 / rate + MAX_DELAY / chunk + human.decision * back / len(truth),
    )
