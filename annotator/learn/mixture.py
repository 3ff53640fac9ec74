"""The default strategy: rows are drawn from a mixture whose probabilities are known.

A few first labels cover the pool (MaxHerding); its rows are seen from their mean, because what
all images share hides how they differ. Afterwards each row is drawn from

    q(i) = 0.10 / N + 0.40 · u_i⁴ / Σ u⁴ + 0.50 · [i = g]

with the margin uncertainty u = 1 − (p₁ − p₂); g is by turns the row of most uncertain coverage
(UHerding) and the most uncertain row. In the search for a class the parts are 0.10, 0.20 and 0.70,
and g is by turns the most uncertain row, the row most likely to be of the class (twice, if the
annotator asked for the search), and the most novel row, the farthest from all asked rows: a rare
class often has kinds that the model has never seen and confidently takes for something else. A
class that is rare among the labels is searched for unasked. While a class has no label yet, novel
rows have a turn, too.

Because every row has a known q > 0, the labels also estimate the model's error without bias
(see error_estimate.py). The 10 % drawn uniformly ("audits") also reach rows where the model is
wrongly sure. To sample in proportion to a power of the score, instead of always taking the
largest: Kirsch et al., TMLR 2023, arXiv:2106.12059.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.candidates import Pool, TextScores
from annotator.learn.coverage import Coverage, pool_coverage, shrunk_radius
from annotator.learn.rows import Rows
from annotator.learn.stopping import rare_class
from annotator.learn.strategies import Pick, Utilities, largest_utilities
from annotator.learn.targets import ONE_CLASS, Targets

MIN_UNCERTAINTY = 1e-6  # the least uncertainty, so that a sure model still gives every row a q
WARM_CANDIDATES = 250  # UHerding chooses among this many uncertain and as many random rows
COLD_CANDIDATES = 500
NAMED_SHARE = 0.05  # of these the rows that the text of a class describes best
USUAL_TURNS = ("herding", "margin")
HUNT_TURNS = ("margin", "find", "novel")
FIND_TURNS = ("find", "margin", "find", "novel")  # if the annotator asked for the search
NOVEL_DISTANCE = 1e-5  # the least squared distance of a novel row to all asked rows
HUNT_LABELS = 100  # the labels up to which a class without labels is searched for


@dataclass(frozen=True, slots=True)
class HerdingMix:
    """The mixture strategy; the greedy part gets what `audits` and `spread` leave."""

    audits: float = 0.10
    spread: float = 0.40
    hunting: float = 0.20
    """The value of `spread` in the search for a class."""

    def __call__(self, pool: Pool, want: int) -> list[Pick]:
        draw = _Draw(self, pool, want)
        return [draw.next() for _ in range(min(want, pool.open.size))]


def margin_uncertainty(
    proba: NDArray[np.floating], targets: Targets = ONE_CLASS
) -> NDArray[np.float32]:
    """Return u (m,) of probabilities (m, C), never zero."""
    return np.maximum(targets.margin(proba), MIN_UNCERTAINTY).astype(np.float32, copy=False)


def drawing_weights(
    proba: NDArray[np.floating], targets: Targets = ONE_CLASS
) -> NDArray[np.float32]:
    """Return u⁴ (m,) of probabilities (m, C)."""
    return np.square(np.square(margin_uncertainty(proba, targets)))


class _Draw:
    """A sequence of draws of one step, without replacement."""

    def __init__(self, mix: HerdingMix, pool: Pool, want: int) -> None:
        self.pool, self.open, self.rng = pool, pool.open, pool.rng
        self.cold = pool.targets.cold_labels(len(pool.counts))
        wanted = pool.find
        if wanted is None:
            total = int(pool.counts.sum()) if pool.labels is None else pool.labels
            share = pool.targets.rare_share(len(pool.counts))
            wanted = rare_class(pool.counts, total, self.cold, share)
        self.audits, self.spread = mix.audits, mix.spread if wanted is None else mix.hunting
        self.uncertain = self._best(pool.targets.margin(pool.proba), WARM_CANDIDATES + want)
        self.likely = self.uncertain[:0]
        self.by_name = self._class_by_name()
        if self.by_name is not None and pool.text is not None:
            scores = pool.text.scores(pool.rows, self.by_name)
            self.likely = self._best(scores, 1 + want)
        elif wanted is not None:
            self.likely = self._best(pool.proba[:, wanted], 1 + want)
        self.coverage = pool_coverage(pool)
        self.start: Coverage | None = None
        if len(pool.labelled) < self.cold:
            self.start = pool_coverage(pool, centred=True)
        else:
            pool.cache.pop("centred coverage", None)  # its distances are large
        self.herd: _HerdingPart | None = None
        self.taken: list[int] = []

    def _class_by_name(self) -> int | None:
        """Return a class without labels, to be found by its name; the one searched for, if any."""
        pool, asked = self.pool, len(self.pool.shown)
        if pool.text is None or (pool.find is not None and pool.counts[pool.find]):
            return None
        if pool.find is not None:
            return pool.find
        if not pool.trusts_text:
            return None
        missing = np.flatnonzero((pool.counts == 0) & ~pool.targets.inner(len(pool.counts)))
        if not len(missing) or asked >= max(HUNT_LABELS, self.cold):
            return None
        return int(missing[asked % len(missing)])

    def _best(self, utilities: Utilities, want: int) -> Rows:
        return self.pool.rows[largest_utilities(utilities, want, self.rng)]

    def next(self) -> Pick:
        asked, size = len(self.pool.labelled) + len(self.taken), self.open.size
        if asked < self.cold:
            row, q, component = self._cold(), np.nan, "cold"
        else:
            row, q, component = self._mixed(asked)
        self.taken.append(row)
        self.open.take(row)
        return Pick(row, q, size, component)

    def _cold(self) -> int:
        rows = self.open.uniform(self.rng, COLD_CANDIDATES)
        if self.pool.text is not None:
            rows = self._named(self.pool.text, rows)
        cover = self._covered(self.coverage if self.start is None else self.start)
        gains = cover.gains(cover.kernel(rows, cover.radius), cover.radius)
        return int(rows[gains.argmax()])

    def _named(self, text: TextScores, rows: Rows) -> Rows:
        """Return those of `rows` that the text of a class describes best, at every third turn.

        For a class that is searched for it is the likeliest row of all, at every other turn.
        """
        pool, turn = self.pool, len(self.pool.shown) + len(self.taken)
        if self.by_name is not None and pool.find is not None:
            likely = self.open.free(self.likely)[:1]
            return likely if len(likely) and turn % 2 else rows
        few = np.flatnonzero((pool.counts < 2) & ~pool.targets.inner(len(pool.counts)))
        if turn % 3 or not len(few) or not pool.trusts_text:
            return rows
        best = np.argsort(-text.scores(rows, int(few[turn // 3 % len(few)])), kind="stable")
        return np.asarray(rows[best[: max(1, int(NAMED_SHARE * len(rows)))]])

    def _covered(self, before: Coverage) -> Coverage:
        return before.cover(np.append(before.asked, np.array(self.taken, dtype=np.int64)))

    def _mixed(self, asked: int) -> tuple[int, float, str]:
        name, candidates = self._turn(asked)
        row, component = self._draw()
        greedy = -1
        if row < 0:
            row, component = self._choose(name, candidates), name
            greedy = row
        elif row in candidates:  # only then the greedy part could have chosen it, too
            greedy = self._choose(name, candidates)
        q = self.audits / self.open.size + self.spread * self.open.share(row)
        if row == greedy:
            q += 1 - self.audits - self.spread
        return row, q, component

    def _draw(self) -> tuple[int, str]:
        """Draw a row of one of the two random parts, or -1 if the greedy part is drawn."""
        part = self.rng.random()
        if part < self.audits:
            return int(self.open.uniform(self.rng, 1)[0]), "audit"
        if part < self.audits + self.spread:
            return self.open.weighted(self.rng), "uncertain"
        return -1, ""

    def _turn(self, asked: int) -> tuple[str, Rows]:
        """Return the name of the rule whose turn it is in the greedy part, and its candidates."""
        turns = self._turns(asked)
        name = turns[asked % len(turns)]
        if name == "margin":
            candidates = self.open.free(self.uncertain)[:1]
        elif name == "find":
            candidates = self.open.free(self.likely)[:1]
        elif name == "novel":
            candidates = self._novel()
        if name != "herding" and len(candidates):
            return name, candidates
        if self.herd is None:
            random = self.open.uniform(self.rng, WARM_CANDIDATES)
            self.herd = _HerdingPart(self.pool, self.coverage, np.union1d(self.uncertain, random))
        return "herding", self.open.free(self.herd.rows)

    def _turns(self, asked: int) -> tuple[str, ...]:
        found = int((self.pool.counts > 0).sum())
        if self.by_name is not None and self.pool.find is None:
            return (*self._usual_turns(found, asked), "find")
        if len(self.likely) and (found > 1 or self.by_name is not None):
            return HUNT_TURNS if self.pool.find is None else FIND_TURNS
        return self._usual_turns(found, asked)

    def _usual_turns(self, found: int, asked: int) -> tuple[str, ...]:
        if found < 2 and len(self.pool.counts) > 1:
            return ("novel", "herding")  # the model cannot predict anything yet
        return (
            (*USUAL_TURNS, "novel")
            if found < len(self.pool.counts) and asked < HUNT_LABELS
            else USUAL_TURNS
        )

    def _novel(self) -> Rows:
        """Return the reference row farthest from all asked rows; empty if all were asked."""
        covered = self._covered(self.coverage)
        nearest = np.where(self.open.mask[covered.rows], covered.nearest, 0)
        place = int(nearest.argmax())
        return covered.rows[place : place + int(nearest[place] > NOVEL_DISTANCE)]

    def _choose(self, name: str, candidates: Rows) -> int:
        if name != "herding" or self.herd is None:
            return int(candidates[0])
        gains = self.herd.gains(self._covered(self.coverage))
        gains[np.isin(self.herd.rows, self.taken)] = -1
        return int(self.herd.rows[gains.argmax()])


class _UncertainKernel(NamedTuple):
    """The kernel (m, R) of the candidates, its squared radius, and the references' weights (R,)."""

    kernel: NDArray[np.float32]
    radius: float
    weights: NDArray[np.float32]


class _HerdingPart:
    """UHerding among fixed candidates; the kernel is computed once, at its first use."""

    def __init__(self, pool: Pool, coverage: Coverage, rows: Rows) -> None:
        self.pool, self.coverage, self.rows = pool, coverage, rows
        self._kernel: _UncertainKernel | None = None

    def gains(self, covered: Coverage) -> NDArray[np.float32]:
        """Return the uncertain coverage (m,) that each candidate would add."""
        if self._kernel is None:
            n = len(self.pool.labelled) // 10 * 10
            known = self.pool.unit.take(self.pool.labelled[:n])
            radius = shrunk_radius(self.coverage.radius, known)
            weights = margin_uncertainty(self.pool.score(self.coverage.X), self.pool.targets)
            self._kernel = _UncertainKernel(
                self.coverage.kernel(self.rows, radius), radius, weights
            )
        return covered.gains(*self._kernel)
