"""How narrow the interval of `annotator check` is, and in how many sessions it was ever wrong.

`python -m benchmarks.check [--seeds 4000-4149] [--labels 200]`. A session labels some items at
random, freezes the model, and checks it on 400 others; it looks after every label. Its peers see
the same labels: Clopper-Pearson, made for one look; the anytime interval by Hoeffding's bound and
the hedged bets of Waudby-Smith & Ramdas, both without replacement (arXiv:2006.04347,
arXiv:2010.09686), which do not use the model's probabilities. Needs ../shared/data (or
ANNOTATOR_SHARED); digits come from scikit-learn. Constants were chosen on seeds below 1000.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.audit import expected_error
from annotator.learn.confidence_sequence import KnownGuesses, bound_mean, largest_stakes
from annotator.learn.error_estimate import DrawnLabels
from annotator.learn.model import fit_model
from annotator.learn.rows import normalize_rows
from annotator.simulate.options import parse_seeds
from annotator.simulate.summary import align_columns
from annotator.simulate.task import TruthTable
from benchmarks.learning import folder

ALPHA, LOOKS, MOST = 0.1, (100, 200, 400), 400
SETS = ("flowers", "cifar10", "magnetic-tile", "digits")
GOALS = {"flowers": 0.16, "cifar10": 0.22}
Array = NDArray[np.float64]
Ends = tuple[Array, Array]


class Session(NamedTuple):
    """The open items of a session in the order of their draws."""

    wrong: Array
    doubt: Array
    expected: float
    shares: NDArray[np.float32]
    y: NDArray[np.int64]


class Outcome(NamedTuple):
    widths: list[float]
    ever_wrong: bool


def session(X: NDArray[np.float32], y: NDArray[np.int64], seed: int, labels: int) -> Session:
    rows = np.random.default_rng([seed, 5]).permutation(len(y))
    known, rest = rows[:labels], rows[labels:]
    model = fit_model("ridge", labels, int(y.max()) + 1, X[known], y[known])
    proba, loo = model.unit_proba(X[rest]), model.estimator.loo_proba()  # type: ignore[attr-defined]
    size = len(y) - np.arange(labels)
    drawn = DrawnLabels(loo, loo, y[known], 1 / size, size)
    confidence = proba.max(axis=1).astype(float)
    return Session(
        (proba.argmax(axis=1) != y[rest]).astype(float), 1 - confidence,
        expected_error(confidence, drawn, len(rest), 0.0), proba, y[rest],
    )  # fmt: skip


def check(values: Array, guesses: Array, expected: float | None = None) -> Outcome:
    """Our interval for the mean of all values, of which the first 400 are seen."""
    known = KnownGuesses.summarize(guesses, expected)
    ends = [bound_mean(values[:t], guesses[:t], known, ALPHA) for t in LOOKS]
    stake = largest_stakes(np.array([values.mean()]), values[:MOST], guesses[:MOST], known)
    return Outcome([end.high - end.low for end in ends], bool(stake[0] >= np.log(1 / ALPHA)))


def at_all_looks(interval: Callable[[Array, int], Ends], values: Array) -> Outcome:
    """A peer's intervals after each of the first 400 values."""
    low, high = interval(values[:MOST], len(values))
    mean = values.mean()
    widths = [float(high[t - 1] - low[t - 1]) for t in LOOKS]
    return Outcome(widths, bool(((mean < low - 1e-9) | (mean > high + 1e-9)).any()))


def clopper_pearson(seen: Array, size: int) -> Ends:
    from scipy.special import betaincinv

    n, wrong = np.arange(1, len(seen) + 1), np.cumsum(seen)
    low = np.where(wrong > 0, betaincinv(np.maximum(wrong, 1), n - wrong + 1, ALPHA / 2), 0)
    high = np.where(wrong < n, betaincinv(wrong + 1, np.maximum(n - wrong, 1), 1 - ALPHA / 2), 1)
    return low, high


def hoeffding(seen: Array, size: int) -> Ends:
    """Hoeffding's bound without replacement, with predictable weights (arXiv:2006.04347, §3)."""
    t = np.arange(1, len(seen) + 1)
    weight = np.minimum(np.sqrt(8 * np.log(2 / ALPHA) / (t * np.log(t + 1))), 1)
    before = np.concatenate([[0], np.cumsum(seen)[:-1]])
    left = size - t + 1
    gain = np.cumsum(weight * (1 + (t - 1) / left))
    middle = np.cumsum(weight * (seen + before / left)) / gain
    margin = (np.log(2 / ALPHA) + np.cumsum(weight**2) / 8) / gain
    low = np.maximum.accumulate(np.maximum(middle - margin, 0))
    return low, np.minimum.accumulate(np.minimum(middle + margin, 1))


def hedged(seen: Array, size: int) -> Ends:
    """Hedged bets by the variance seen so far, half of the stake on each side."""
    t, means = np.arange(1, len(seen) + 1), np.linspace(0, 1, 501)
    middle = (0.5 + np.cumsum(seen)) / (t + 1)
    spread = (0.25 + np.cumsum((seen - middle) ** 2)) / (t + 1)
    spread = np.concatenate([[0.25], spread[:-1]])
    bet = np.sqrt(2 * np.log(2 / ALPHA) / (spread * t * np.log(t + 1)))[:, None]
    before = np.concatenate([[0], np.cumsum(seen)[:-1]])
    rest = (size * means[None] - before[:, None]) / (size - t + 1)[:, None]
    claim, gain = rest.clip(1e-9, 1 - 1e-9), seen[:, None] - rest.clip(1e-9, 1 - 1e-9)
    up = np.cumsum(np.log1p(np.minimum(bet, 0.5 / claim) * gain), axis=0)
    down = np.cumsum(np.log1p(-np.minimum(bet, 0.5 / (1 - claim)) * gain), axis=0)
    stake = np.where((rest < 0) | (rest > 1), np.inf, np.maximum(up, down) - np.log(2))
    kept = np.maximum.accumulate(stake, axis=0) < np.log(1 / ALPHA)
    step = means[1]
    low, high = means[kept.argmax(axis=1)], means[len(means) - 1 - kept[:, ::-1].argmax(axis=1)]
    return np.maximum(low - step, 0), np.minimum(high + step, 1)


PEERS = {
    "Clopper-Pearson, for one look": clopper_pearson,
    "Hoeffding, anytime": hoeffding,
    "hedged bets, anytime": hedged,
}


def measure(name: str, seeds: tuple[int, ...], labels: int) -> list[list[str]]:
    truth = TruthTable.read(folder(name) / "truth.csv")
    classes = sorted(set(truth.labels))
    y = np.array([classes.index(label) for label in truth.labels])
    X = normalize_rows(np.load(folder(name) / "features.npy"))
    found: dict[str, list[Outcome]] = {}
    for seed in seeds:
        one = session(X, y, seed, labels)
        found.setdefault("check", []).append(check(one.wrong, one.doubt, one.expected))
        for peer, interval in PEERS.items():
            found.setdefault(peer, []).append(at_all_looks(interval, one.wrong))
        for c, label in enumerate(classes):
            values, guesses = (one.y == c).astype(float), one.shares[:, c].astype(float)
            outcome = check(values, guesses)
            found.setdefault("check, shares of all classes", []).append(outcome)
            if label == "crack":
                found.setdefault("check, share of crack", []).append(outcome)
    return [_row(name, kind, outcomes) for kind, outcomes in found.items()]


def _row(name: str, kind: str, outcomes: list[Outcome]) -> list[str]:
    widths = np.mean([one.widths for one in outcomes], axis=0)
    goal = f"≤ {GOALS[name]:.2f} at 100" if kind == "check" and name in GOALS else ""
    ever = np.mean([one.ever_wrong for one in outcomes])
    return [name, kind, *(f"{w:.3f}" for w in widths), f"{ever:.1%} of {len(outcomes)}", goal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=parse_seeds, default=tuple(range(4000, 4150)))
    parser.add_argument("--labels", type=int, default=200, help="labels of the frozen model")
    given = parser.parse_args()
    rows = [["set", "interval", *(f"width at {t}" for t in LOOKS), "ever wrong", "goal"]]
    for name in SETS:
        rows += measure(name, given.seeds, given.labels)
    print(align_columns(rows))
    print("goal: ever wrong ≤ 10 % (each interval holds at all looks with 90 %)")


if __name__ == "__main__":
    main()
